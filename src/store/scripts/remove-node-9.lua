#!lua flags=allow-oom
-- Forgets a node with its name, index and lease, and what it has announced or was announced to it.
-- KEYS  meta changes nodes nodeNames nodeIndexes leases seen removed announcements (registry; the last one is the node's own)
-- ARGV  schema root channel origin id
-- OUT   ok removed(0|1) | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed

local id = ARGV[5]
local document = redis.call('HGET', KEYS[3], id)
if not document then return { 'ok', '0' } end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[8], time[1], id)
-- An offer may come from a host that was away for weeks, not for ever.
redis.call('ZREMRANGEBYSCORE', KEYS[8], '-inf', time[1] - 90 * 86400)
redis.call('HDEL', KEYS[3], id)
redis.call('HDEL', KEYS[4], cjson.decode(document).name)
redis.call('SETBIT', KEYS[5], document:match('\n"index":(%d+),'), 0)
redis.call('HDEL', KEYS[6], id)
redis.call('ZREM', KEYS[7], id)
redis.call('DEL', KEYS[9])
-- The others' keys differ in the id at the end and are in the same slot; who they are is known only here.
local prefix = KEYS[9]:sub(1, -1 - #id)
for _, other in ipairs(redis.call('HKEYS', KEYS[3])) do redis.call('HDEL', prefix .. other, id) end
changed('node', id)
return { 'ok', '1' }
