-- Extends a node's lease; only the newest agent may. No revision: a heartbeat is not a change.
-- KEYS  meta nodes leases (registry)
-- ARGV  schema root id epoch leaseMs
-- OUT   ok | stale_epoch CURRENT | node_not_found | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if meta[1] ~= ARGV[1] then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

local document = redis.call('HGET', KEYS[2], ARGV[3])
if not document then return { 'node_not_found' } end
local current = tonumber(document:match('"epoch":(%d+)}$'))
local epoch = tonumber(ARGV[4])
if epoch < current then return { 'stale_epoch', tostring(current) } end
-- An epoch the store never gave out: it forgot the start of this agent.
if epoch > current then return { 'store_lost_writes' } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[3], ARGV[3], string.format('%d %.0f %.0f', epoch, now + ARGV[5], now))
return { 'ok' }
