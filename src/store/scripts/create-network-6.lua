-- Writes a network: name, vni, subnets and VIP pools that overlap nothing.
-- KEYS  meta changes networks networkNames vnis prefixes (registry)
-- ARGV  schema root channel scope id name head labels firstVni vniCount allowOverlap(1|0) wish
--       head, labels: comma-separated JSON members
--       wish: JSON { subnets: [prefix], avoid: [prefix], pools: [pool] }, prefix { cidr, first, last } in hex,
--       pool { kind: s|v, cursor, head, take, unit, low, count, length }: slot numbers low…low+count-1 of UNIT addresses
--       (or UNIT /64s), written in the TAKE hex digits after HEAD
-- OUT   ok DOCUMENT (the same again for the same id) | name_taken HOLDER | vni_exhausted | pool_exhausted CURSOR
--       | subnet_overlap CIDR OTHER (network ID NAME subnet|pool | route) | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if meta[1] ~= ARGV[1] then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- One revision, one stream entry, one wake-up. The time in the entry's id tells two histories of one revision apart.
local function changed(kind, id, value)
  local rev = redis.call('HINCRBY', KEYS[1], 'rev', 1)
  local now = redis.call('TIME')
  local at = string.format('%.0f-%s%06d', rev, now[1], now[2])
  if value then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', 10000, at, 'kind', kind, 'id', id, 'value', value)
  else
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', 10000, at, 'kind', kind, 'id', id)
  end
  redis.call('PUBLISH', ARGV[3], ARGV[4])
end

-- First clear bit of [from, to], or nil. Bits past the end of the string are clear.
local function clear(key, from, to)
  local bit = from
  while bit % 8 ~= 0 and bit <= to do
    if redis.call('GETBIT', key, bit) == 0 then return bit end
    bit = bit + 1
  end
  if bit > to then return nil end
  local found = redis.call('BITPOS', key, 0, bit / 8, math.floor(to / 8))
  if found == -1 then found = redis.call('STRLEN', key) * 8 end
  found = math.max(found, bit) -- BITPOS answers 0 for a missing key
  return found <= to and found or nil
end

-- Canonical text of a hex address (RFC 5952: the longest run of two or more zero groups becomes ::).
local function text(hex)
  local groups = {}
  if #hex == 8 then
    for i = 1, 8, 2 do groups[#groups + 1] = tonumber(hex:sub(i, i + 1), 16) end
    return table.concat(groups, '.')
  end
  for i = 1, 32, 4 do groups[#groups + 1] = string.format('%x', tonumber(hex:sub(i, i + 3), 16)) end
  local best, length, i = 0, 1, 1
  while i <= 8 do
    local j = i
    while groups[j] == '0' do j = j + 1 end
    if j - i > length then best, length = i, j - i end
    i = math.max(j, i + 1)
  end
  if best == 0 then return table.concat(groups, ':') end
  return table.concat(groups, ':', 1, best - 1) .. '::' .. table.concat(groups, ':', best + length, 8)
end

-- cjson would write an empty list as {}.
local function list(items)
  return #items == 0 and '[]' or '["' .. table.concat(items, '","') .. '"]'
end

local id, name = ARGV[5], ARGV[6]
local known = redis.call('HGET', KEYS[3], id)
if known then return { 'ok', known } end
local holder = redis.call('HGET', KEYS[4], name)
if holder then return { 'name_taken', holder } end

local wish = cjson.decode(ARGV[12])
local taken = {}
local prefixes = redis.call('HGETALL', KEYS[6])
for i = 1, #prefixes, 2 do
  for kind, first, last, cidr in prefixes[i + 1]:gmatch('(%a) (%x+) (%x+) (%S+)') do
    taken[#taken + 1] = { kind = kind, first = first, last = last, cidr = cidr, network = prefixes[i] }
  end
end
for _, route in ipairs(wish.avoid) do
  taken[#taken + 1] = { kind = 'r', first = route.first, last = route.last, cidr = route.cidr }
end

-- Subnets asked for: never over a VIP pool or a route, over another subnet only when that is wished too.
local subnets, pools, own = {}, {}, {}
for _, subnet in ipairs(wish.subnets) do
  for _, other in ipairs(taken) do
    if #other.first == #subnet.first and other.first <= subnet.last and subnet.first <= other.last
      and (other.kind ~= 's' or ARGV[11] ~= '1') then
      if other.kind == 'r' then return { 'subnet_overlap', subnet.cidr, other.cidr, 'route' } end
      return { 'subnet_overlap', subnet.cidr, other.cidr, 'network', other.network,
        cjson.decode(redis.call('HGET', KEYS[3], other.network)).name, other.kind == 's' and 'subnet' or 'pool' }
    end
  end
  subnets[#subnets + 1] = subnet.cidr
  own[#own + 1] = 's ' .. subnet.first .. ' ' .. subnet.last .. ' ' .. subnet.cidr
end
for _, subnet in ipairs(wish.subnets) do
  taken[#taken + 1] = { kind = 's', first = subnet.first, last = subnet.last, cidr = subnet.cidr }
end

-- The pool's first slot from its cursor on that touches nothing.
local function allot(pool)
  local at, digits, final = #pool.head, pool.take == 8 and 8 or 32, pool.low + pool.count - 1
  local spans = {}
  for _, other in ipairs(taken) do
    local before, after = other.first:sub(1, at), other.last:sub(1, at)
    if #other.first == digits and before <= pool.head and after >= pool.head then
      local from, to = pool.low, final
      if before == pool.head then
        from = math.floor(tonumber(other.first:sub(at + 1, at + pool.take), 16) / pool.unit)
      end
      if after == pool.head then
        to = math.floor(tonumber(other.last:sub(at + 1, at + pool.take), 16) / pool.unit)
      end
      spans[#spans + 1] = { from, to }
    end
  end
  table.sort(spans, function(a, b) return a[1] < b[1] end)
  local function free(start, stop)
    for _, span in ipairs(spans) do
      if span[1] > start then break end
      if span[2] >= start then start = span[2] + 1 end
    end
    return start <= stop and start or nil
  end
  local cursor = tonumber(redis.call('HGET', KEYS[1], pool.cursor) or pool.low)
  return free(cursor, final) or free(pool.low, cursor - 1)
end

local cursors = {}
for _, pool in ipairs(wish.pools) do
  local slot = allot(pool)
  if not slot then return { 'pool_exhausted', pool.cursor } end
  local first, last
  if pool.take == 8 then
    first = string.format('%08x', slot * pool.unit)
    last = string.format('%08x', slot * pool.unit + pool.unit - 1)
  else
    first = pool.head .. string.format('%04x', slot) .. string.rep('0', 16)
    local host = (128 - pool.length) / 4
    last = first:sub(1, 32 - host) .. string.rep('f', host)
  end
  local cidr = text(first) .. '/' .. pool.length
  local place = pool.kind == 's' and subnets or pools
  place[#place + 1] = cidr
  own[#own + 1] = pool.kind .. ' ' .. first .. ' ' .. last .. ' ' .. cidr
  taken[#taken + 1] = { kind = pool.kind, first = first, last = last, cidr = cidr }
  cursors[#cursors + 1] = pool.cursor
  cursors[#cursors + 1] = slot + 1
end

-- The cursor walks on, so that a removed network's vni rests as long as possible.
local final = ARGV[10] - 1
local cursor = tonumber(redis.call('HGET', KEYS[1], 'vni') or 0)
local vni = clear(KEYS[5], cursor, final) or clear(KEYS[5], 0, math.min(cursor - 1, final))
if not vni then return { 'vni_exhausted' } end

redis.call('SETBIT', KEYS[5], vni, 1)
redis.call('HSET', KEYS[1], 'vni', vni + 1, unpack(cursors))
redis.call('HSET', KEYS[4], name, id)
redis.call('HSET', KEYS[6], id, table.concat(own, '\n'))
local document = '{' .. ARGV[7] .. ',\n' .. ARGV[8] .. ',\n"vni":' .. (ARGV[9] + vni) .. ',"vipPools":' .. list(pools)
  .. ',\n"subnets":' .. list(subnets) .. ',\n"members":[]}'
redis.call('HSET', KEYS[3], id, document)
changed('network', id, document)
return { 'ok', document }
