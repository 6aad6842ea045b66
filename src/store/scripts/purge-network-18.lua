#!lua flags=allow-oom
-- Last step of a removal: deletes the slot. A tombstone stays for an hour, so that an attach under way does not open it again.
-- KEYS  meta, then every other key (network)
-- ARGV  schema root channel origin
-- OUT   ok | open (not closed: left alone) | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root', 'state')
if meta[1] and tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if meta[1] and ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end
if meta[3] == 'open' then return { 'open' } end
if meta[3] == 'gone' then return { 'ok' } end
redis.call('UNLINK', unpack(KEYS))
redis.call('HSET', KEYS[1], 'schema', ARGV[1], 'root', ARGV[2], 'state', 'gone')
redis.call('EXPIRE', KEYS[1], 3600)
redis.call('PUBLISH', ARGV[3], ARGV[4]:match('^%S*'))
return { 'ok' }
