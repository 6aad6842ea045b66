#!lua flags=allow-oom
-- A new agent takes the node over: epoch + 1, its lease, fresh facts. Not while one of another boot holds the lease: that is
-- another host with the same identity.
-- KEYS  meta changes nodes leases seen (registry)
-- ARGV  schema root channel origin id facts leaseMs boot ('': any)
-- OUT   ok DOCUMENT | identity_in_use SEEN (milliseconds) | node_not_found | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed

local id = ARGV[5]
local old = redis.call('HGET', KEYS[3], id)
if not old then return { 'node_not_found' } end
local who, joined, index, epoch = old:match('^([^\n]*\n)[^\n]*(\n.*\n)"index":(%d+),"epoch":(%d+)}$')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expires, seen, boot = (redis.call('HGET', KEYS[4], id) or ''):match('^%S+ (%S+) (%S+) (%S*)$')
if expires and ARGV[8] ~= '' and boot ~= '' and boot ~= ARGV[8] and tonumber(expires) > now then
  return { 'identity_in_use', seen }
end
epoch = epoch + 1
local document = who .. ARGV[6] .. ',' .. joined .. '"index":' .. index .. ',"epoch":' .. epoch .. '}'
redis.call('HSET', KEYS[3], id, document)
redis.call('HSET', KEYS[4], id, string.format('%d %.0f %.0f %s', epoch, now + ARGV[7], now, ARGV[8]))
if tonumber(meta[1]) >= 2 then redis.call('ZADD', KEYS[5], now, id) end
changed('node', id, document)
return { 'ok', document }
