#!lua flags=allow-oom
-- What a node's newest agent tells anew about its host. It never brings back a node that was removed.
-- KEYS  meta changes nodes (registry)
-- ARGV  schema root channel origin id epoch facts
-- OUT   ok DOCUMENT | stale_epoch CURRENT | node_not_found | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed

local id = ARGV[5]
local old = redis.call('HGET', KEYS[3], id)
if not old then return { 'node_not_found' } end
local who, rest, current = old:match('^([^\n]*\n)[^\n]*(\n.*\n"index":%d+,"epoch":(%d+)})$')
local epoch = tonumber(ARGV[6])
if epoch < tonumber(current) then return { 'stale_epoch', current } end
-- An epoch the store never gave out: it forgot the start of this agent.
if epoch > tonumber(current) then return { 'store_lost_writes' } end
local document = who .. ARGV[7] .. ',' .. rest
if document == old then return { 'ok', old } end
redis.call('HSET', KEYS[3], id, document)
changed('node', id, document)
return { 'ok', document }
