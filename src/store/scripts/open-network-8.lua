#!lua flags=allow-oom
-- Makes a network's slot, or brings one up to the registry's record (a grown subnet). Never shrinks one, never re-opens a removed one.
-- KEYS  meta reserved addresses4 pool4 cooling4 addresses6 pool6 cooling6 (network)
-- ARGV  schema root id incarnation plan
--       plan: JSON { pools: [{ family, first, last, text, base, window }], reserved: [hex] }
--       text: `FIRST LAST GATEWAY BASE WINDOW FROM-TO,…` as attach-endpoint reads it
-- OUT   ok changed(0|1) | network_closing | gone | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root', 'state', 'pool4', 'pool6')
if meta[1] and tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if meta[1] and ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end
if meta[3] == 'gone' then return { 'gone' } end
if meta[3] == 'closing' then return { 'network_closing' } end

local plan = cjson.decode(ARGV[5])
local changed = '0'
if not meta[1] then
  changed = '1'
  redis.call('HSET', KEYS[1], 'schema', ARGV[1], 'root', ARGV[2], 'id', ARGV[3], 'incarnation', ARGV[4], 'rev', 0, 'state', 'open')
  for _, hex in ipairs(plan.reserved) do redis.call('SADD', KEYS[2], hex) end
end
for _, pool in ipairs(plan.pools) do
  local four = pool.family == 4
  local known = meta[four and 4 or 5]
  local first, last
  if known then first, last = known:match('^(%x+) (%x+)') end
  if known ~= pool.text and (not known or pool.first <= first and pool.last >= last) then
    changed = '1'
    local addresses, bitmap, cooling = KEYS[four and 3 or 6], KEYS[four and 4 or 7], KEYS[four and 5 or 8]
    redis.call('HSET', KEYS[1], four and 'pool4' or 'pool6', pool.text)
    redis.call('HDEL', KEYS[1], four and 'next4' or 'next6')
    -- Offsets count from the base, which may have moved.
    redis.call('DEL', bitmap)
    local head, low = pool.base:sub(1, -9), tonumber(pool.base:sub(-8), 16)
    local function mark(hexes)
      for _, hex in ipairs(hexes) do
        local offset = tonumber(hex:sub(-8), 16) - low
        if #hex == #pool.base and hex:sub(1, -9) == head and offset >= 0 and offset < pool.window then
          redis.call('SETBIT', bitmap, offset, 1)
        end
      end
    end
    mark(redis.call('HKEYS', addresses))
    mark(redis.call('ZRANGE', cooling, 0, -1))
    mark(plan.reserved)
  end
end
return { 'ok', changed }
