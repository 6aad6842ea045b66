-- A new agent takes the node over: epoch + 1, its lease, fresh facts.
-- KEYS  meta changes nodes leases (registry)
-- ARGV  schema root channel origin id facts leaseMs
-- OUT   ok DOCUMENT | node_not_found | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if meta[1] ~= ARGV[1] then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed

local id = ARGV[5]
local old = redis.call('HGET', KEYS[3], id)
if not old then return { 'node_not_found' } end
local who, joined, index, epoch = old:match('^([^\n]*\n)[^\n]*(\n[^\n]*\n)"index":(%d+),"epoch":(%d+)}$')
epoch = epoch + 1
local document = who .. ARGV[6] .. ',' .. joined .. '"index":' .. index .. ',"epoch":' .. epoch .. '}'
redis.call('HSET', KEYS[3], id, document)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[4], id, string.format('%d %.0f %.0f', epoch, now + ARGV[7], now))
changed('node', id, document)
return { 'ok', document }
