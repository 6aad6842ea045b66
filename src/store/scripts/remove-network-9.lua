#!lua flags=allow-oom
-- Second step of a removal: the registry forgets a network whose slot is closed, and remembers to purge the slot.
-- KEYS  meta changes networks networkNames vnis prefixes prefixIndex purges removed (registry)
-- ARGV  schema root channel origin id firstVni
-- OUT   ok removed(0|1) | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed

local id = ARGV[5]
local document = redis.call('HGET', KEYS[3], id)
if not document then return { 'ok', '0' } end
redis.call('SADD', KEYS[8], id)
local time = redis.call('TIME')
redis.call('ZADD', KEYS[9], time[1], id)
-- An offer may come from a host that was away for weeks, not for ever.
redis.call('ZREMRANGEBYSCORE', KEYS[9], '-inf', time[1] - 90 * 86400)
redis.call('HDEL', KEYS[3], id)
redis.call('HDEL', KEYS[4], cjson.decode(document).name)
redis.call('SETBIT', KEYS[5], document:match('\n"vni":(%d+)') - ARGV[6], 0)
for text in redis.call('HGET', KEYS[6], id):gmatch('[^\n]+') do redis.call('ZREM', KEYS[7], text) end
redis.call('HDEL', KEYS[6], id)
changed('network', id)
return { 'ok', '1' }
