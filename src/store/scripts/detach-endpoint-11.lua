#!lua flags=allow-oom
-- Withdraws an endpoint. Its addresses cool down; their bits are cleared by a later attach.
-- KEYS  meta changes endpoints names macs netns holds addresses4 cooling4 addresses6 cooling6 (network)
-- ARGV  schema root channel origin id cooldownMs
-- OUT   ok DOCUMENT INCARNATION AT BEFORE | ok (gone already) | gone | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root', 'state', 'past', 'incarnation')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end
if meta[3] == 'gone' then return { 'gone' } end

-- include: changed

local id = ARGV[5]
local document = redis.call('HGET', KEYS[3], id)
if not document then
  -- Since the slot lost writes, others may keep it as a ghost.
  if meta[4] then changed('endpoint', id) end
  return { 'ok' }
end
local holds = redis.call('HGET', KEYS[7], id)
local name, mac, netns, hexes = holds:match('^[^\n]*\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)$')
local time = redis.call('TIME')
local due = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[6])
for hex in hexes:gmatch('%x+') do
  local i = #hex == 8 and 8 or 10
  redis.call('HDEL', KEYS[i], hex)
  redis.call('ZADD', KEYS[i + 1], due, hex)
end
redis.call('HDEL', KEYS[3], id)
redis.call('HDEL', KEYS[4], name)
redis.call('HDEL', KEYS[5], mac)
redis.call('HDEL', KEYS[6], netns)
redis.call('HDEL', KEYS[7], id)
return { 'ok', document, meta[5], changed('endpoint', id) }
