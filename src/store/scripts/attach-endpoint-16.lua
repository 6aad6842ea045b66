#!lua
-- Takes addresses and writes the endpoint as 'starting'.
-- KEYS  meta changes endpoints names macs netns epochs reserved holds
--       addresses4 pool4 cooling4 addresses6 pool6 cooling6 services (network)
-- ARGV  schema root channel origin id node epoch name mac netns head static4 static6 backend
--       head: comma-separated JSON members; static4, static6: hex of the address asked for, or ''; backend: JSON or 'null'
-- OUT   ok DOCUMENT INCARNATION AT BEFORE | ok DOCUMENT (the same again for the same id)
--       | service_not_found | absent | gone | network_closing | stale_epoch CURRENT
--       | name_taken HOLDER | netns_attached HOLDER NAME | mac_taken HOLDER NAME | address_taken FAMILY HOLDER NAME
--       | no_subnet FAMILY | outside_subnet FAMILY | special_address FAMILY | address_exhausted FAMILY
--       | recovering NODE… (nodes whose endpoints here are not back yet; see restore-network)
--       | store_schema SCHEMA | store_lost_writes
local fields = { 'schema', 'root', 'state', 'pool4', 'pool6', 'next4', 'next6', 'awaits', 'awaitedUntil', 'incarnation' }
local meta = redis.call('HMGET', KEYS[1], unpack(fields))
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end
if meta[3] == 'gone' then return { 'gone' } end

-- include: changed clear text

local id, node, epoch, name, mac, netns = ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8], ARGV[9], ARGV[10]
local newest = tonumber(redis.call('HGET', KEYS[7], node) or 0)
if epoch < newest then return { 'stale_epoch', tostring(newest) } end
if epoch > newest then redis.call('HSET', KEYS[7], node, epoch) end

local known = redis.call('HGET', KEYS[3], id)
if known then return { 'ok', known } end
if meta[3] == 'closing' then return { 'network_closing' } end

if ARGV[14] ~= 'null' and redis.call('HEXISTS', KEYS[16], cjson.decode(ARGV[14]).service) == 0 then
  return { 'service_not_found' }
end

local function nameof(holder)
  local document = redis.call('HGET', KEYS[3], holder)
  return document and cjson.decode(document).name or ''
end
local holder = redis.call('HGET', KEYS[6], netns)
if holder then return { 'netns_attached', holder, nameof(holder) } end
holder = redis.call('HGET', KEYS[4], name)
if holder then return { 'name_taken', holder } end
holder = redis.call('HGET', KEYS[5], mac)
if holder then return { 'mac_taken', holder, nameof(holder) } end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Addresses of nodes that have not said what they hold look free. Not for ever: one of them may never come back.
if meta[8] and meta[8] ~= '' and now < tonumber(meta[9]) then return { 'recovering', meta[8] } end

-- An address as asked for, or code and holder.
local function static(family, pool, addresses, hex)
  if #hex ~= #pool.first or hex < pool.first or hex > pool.last then return nil, { 'outside_subnet', family } end
  if hex == pool.first or hex == pool.gateway or (family == '4' and hex == pool.last) then
    return nil, { 'special_address', family }
  end
  local owner = redis.call('HGET', addresses, hex)
  if owner then return nil, { 'address_taken', family, owner, nameof(owner) } end
  return hex
end

-- The next free address of the pool's ranges from the cursor on; when only cooling ones are left, the oldest of them.
local function dynamic(family, pool, bitmap, cooling, cursor)
  local function offset(hex)
    local at = tonumber(hex:sub(-8), 16) - pool.low
    return hex:sub(1, -9) == pool.head and at >= 0 and at < pool.window and at or nil
  end
  local function warm(count)
    for _, hex in ipairs(redis.call('ZRANGEBYSCORE', cooling, '-inf', now, 'LIMIT', 0, count)) do
      redis.call('ZREM', cooling, hex)
      local at = offset(hex)
      if at and redis.call('SISMEMBER', KEYS[8], hex) == 0 then redis.call('SETBIT', bitmap, at, 0) end
    end
  end
  local function free()
    for _, range in ipairs(pool.ranges) do
      local at = clear(bitmap, math.max(range[1], cursor), range[2])
      if at then return at end
    end
    for _, range in ipairs(pool.ranges) do
      local at = clear(bitmap, range[1], math.min(range[2], cursor - 1))
      if at then return at end
    end
  end
  warm(20)
  local at = free()
  if not at then
    warm(-1)
    at = free()
  end
  if at then return pool.head .. string.format('%08x', pool.low + at), at end
  for _, hex in ipairs(redis.call('ZRANGE', cooling, 0, -1)) do
    at = offset(hex)
    for _, range in ipairs(pool.ranges) do
      if at and at >= range[1] and at <= range[2] and redis.call('SISMEMBER', KEYS[8], hex) == 0 then return hex, at end
    end
  end
end

local given, texts = {}, {}
for i, family in ipairs({ '4', '6' }) do
  local line, hex = meta[3 + i], ARGV[11 + i]
  local addresses, bitmap, cooling = KEYS[7 + 3 * i], KEYS[8 + 3 * i], KEYS[9 + 3 * i]
  if line then
    local pool = { ranges = {} }
    local base, ranges
    pool.first, pool.last, pool.gateway, base, pool.window, ranges = line:match('^(%x+) (%x+) (%x+) (%x+) (%d+) (.*)$')
    pool.head, pool.low, pool.window = base:sub(1, -9), tonumber(base:sub(-8), 16), tonumber(pool.window)
    for from, to in ranges:gmatch('(%d+)-(%d+)') do
      pool.ranges[#pool.ranges + 1] = { tonumber(from), tonumber(to) }
    end
    local take = { addresses = addresses, bitmap = bitmap, cooling = cooling, cursor = 'next' .. family }
    if hex ~= '' then
      local refused
      take.hex, refused = static(family, pool, addresses, hex)
      if refused then return refused end
      local at = tonumber(hex:sub(-8), 16) - pool.low
      if hex:sub(1, -9) == pool.head and at >= 0 and at < pool.window then take.at = at end
    else
      take.hex, take.at = dynamic(family, pool, bitmap, cooling, tonumber(meta[5 + i] or 0))
      if not take.hex then return { 'address_exhausted', family } end
      take.next = take.at + 1
    end
    given[#given + 1] = take
    texts[#texts + 1] = text(take.hex)
  elseif hex ~= '' then
    return { 'no_subnet', family }
  end
end

local hexes = {}
for _, take in ipairs(given) do
  redis.call('HSET', take.addresses, take.hex, id)
  redis.call('ZREM', take.cooling, take.hex)
  if take.at then redis.call('SETBIT', take.bitmap, take.at, 1) end
  if take.next then redis.call('HSET', KEYS[1], take.cursor, take.next) end
  hexes[#hexes + 1] = take.hex
end
redis.call('HSET', KEYS[4], name, id)
redis.call('HSET', KEYS[5], mac, id)
redis.call('HSET', KEYS[6], netns, id)
redis.call('HSET', KEYS[9], id, table.concat({ node, name, mac, netns, table.concat(hexes, ' ') }, '\n'))
local document = '{' .. ARGV[11] .. ',\n"addresses":["' .. table.concat(texts, '","') .. '"],\n"backend":' .. ARGV[14] .. ',\n"state":"starting"}'
redis.call('HSET', KEYS[3], id, document)
return { 'ok', document, meta[10], changed('endpoint', id, document) }
