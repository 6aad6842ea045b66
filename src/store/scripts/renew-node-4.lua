#!lua flags=allow-oom
-- Extends a node's lease; only the newest agent may. No revision: a heartbeat is not a change.
-- KEYS  meta nodes leases seen (registry)
-- ARGV  schema root id epoch leaseMs quietMs
-- OUT   ok [id AGE …] (other nodes whose lease has not been renewed for quietMs; AGE in milliseconds, -1: it has none) | stale_epoch CURRENT | node_not_found | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
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
local boot = (redis.call('HGET', KEYS[3], ARGV[3]) or ''):match('^%S+ %S+ %S+ (%S*)$') or ''
redis.call('HSET', KEYS[3], ARGV[3], string.format('%d %.0f %.0f %s', epoch, now + ARGV[5], now, boot))

local quiet = {}
local function judge(id, seen)
  if id == ARGV[3] or seen > 0 and now - seen <= tonumber(ARGV[6]) then return end
  quiet[#quiet + 1] = id
  quiet[#quiet + 1] = seen > 0 and string.format('%.0f', now - seen) or '-1'
end

if tonumber(meta[1]) < 2 then
  local seen, flat = {}, redis.call('HGETALL', KEYS[3])
  for i = 1, #flat, 2 do seen[flat[i]] = tonumber(flat[i + 1]:match('^%S+ %S+ (%d+)')) end
  for _, id in ipairs(redis.call('HKEYS', KEYS[2])) do judge(id, seen[id] or 0) end
  return { 'ok', quiet }
end
-- What a renewal costs does not grow with the cluster, but with those that are silent.
redis.call('ZADD', KEYS[4], now, ARGV[3])
local flat = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now - ARGV[6], 'WITHSCORES')
for i = 1, #flat, 2 do judge(flat[i], tonumber(flat[i + 1])) end
return { 'ok', quiet }
