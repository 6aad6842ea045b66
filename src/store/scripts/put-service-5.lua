#!lua
-- Writes a service; a new one takes a virtual IP per family, one that is there keeps its own.
-- KEYS  meta changes services names vips (network)
-- ARGV  schema root channel origin id name mode(new|known) head settings plan
--       head, settings: comma-separated JSON members
--       plan: JSON { pools: [{ head, low, count, hex }] }: virtual IPs are HEAD and LOW + 1…COUNT in 8 hex digits; hex: the one
--       asked for, or ''
-- OUT   ok DOCUMENT INCARNATION AT BEFORE | ok DOCUMENT (it was so already) | service_not_found | name_taken HOLDER
--       | address_taken HEX NAME | vip_exhausted | network_closing | gone | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root', 'state', 'incarnation', 'nextVip')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end
if meta[3] == 'gone' then return { 'gone' } end

-- include: changed text

local id, name, new = ARGV[5], ARGV[6], ARGV[7] == 'new'
local known = redis.call('HGET', KEYS[3], id)
if known and new then return { 'ok', known } end
if not known and not new then return { 'service_not_found' } end
if meta[3] == 'closing' then return { 'network_closing' } end
local holder = redis.call('HGET', KEYS[4], name)
if holder and holder ~= id then return { 'name_taken', holder } end

local vips
if known then
  vips = known:match('^[^\n]*\n[^\n]*\n(.*)}$')
  local before = cjson.decode(known).name
  if before ~= name then redis.call('HDEL', KEYS[4], before) end
else
  local pools = cjson.decode(ARGV[10]).pools
  local function hexof(pool, offset)
    return pool.head .. string.format('%08x', pool.low + offset)
  end
  local count
  for _, pool in ipairs(pools) do
    if pool.hex == '' then
      count = math.min(count or pool.count, pool.count)
    else
      local owner = redis.call('HGET', KEYS[5], pool.hex)
      if owner then return { 'address_taken', pool.hex, cjson.decode(redis.call('HGET', KEYS[3], owner)).name } end
    end
  end
  -- The same offset in every family, from the cursor on: one that was just freed rests as long as possible.
  local function free(offset)
    for _, pool in ipairs(pools) do
      if pool.hex == '' and redis.call('HEXISTS', KEYS[5], hexof(pool, offset)) == 1 then return false end
    end
    return true
  end
  if count then
    local start = tonumber(meta[5] or 0)
    local found
    for i = 0, count - 1 do
      local offset = (start + i) % count + 1
      if free(offset) then
        found = offset
        break
      end
    end
    if not found then return { 'vip_exhausted' } end
    redis.call('HSET', KEYS[1], 'nextVip', found)
    for _, pool in ipairs(pools) do
      if pool.hex == '' then pool.hex = hexof(pool, found) end
    end
  end
  local texts = {}
  for _, pool in ipairs(pools) do
    redis.call('HSET', KEYS[5], pool.hex, id)
    texts[#texts + 1] = '"' .. text(pool.hex) .. '"'
  end
  vips = '"vips":[' .. table.concat(texts, ',') .. ']'
end
redis.call('HSET', KEYS[4], name, id)
local document = '{' .. ARGV[8] .. ',\n' .. ARGV[9] .. ',\n' .. vips .. '}'
if document == known then return { 'ok', document } end
redis.call('HSET', KEYS[3], id, document)
return { 'ok', document, meta[4], changed('service', id, document) }
