#!lua flags=allow-oom
-- A node announces a text to another; one that is there already wakes nobody. No revision: the text proves itself.
-- KEYS  meta nodes announcements (registry; the last one is the receiver's)
-- ARGV  schema root channel message id epoch receiver text
-- OUT   ok | stale_epoch CURRENT | node_not_found | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

local id, receiver = ARGV[5], ARGV[7]
local document = redis.call('HGET', KEYS[2], id)
if not document then return { 'node_not_found' } end
local current = tonumber(document:match('"epoch":(%d+)}$'))
local epoch = tonumber(ARGV[6])
if epoch < current then return { 'stale_epoch', tostring(current) } end
-- An epoch the store never gave out: it forgot the start of this agent.
if epoch > current then return { 'store_lost_writes' } end
-- Nobody has keys with a node that is no member, or no longer.
if redis.call('HEXISTS', KEYS[2], receiver) == 0 then return { 'ok' } end
if redis.call('HGET', KEYS[3], id) == ARGV[8] then return { 'ok' } end
redis.call('HSET', KEYS[3], id, ARGV[8])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return { 'ok' }
