#!lua
-- Writes a network: name, vni, subnets and VIP pools that overlap nothing.
-- KEYS  meta changes networks networkNames vnis prefixes prefixIndex (registry)
-- ARGV  schema root channel origin id name head labels firstVni vniCount allowOverlap(1|0) wish
--       head, labels: comma-separated JSON members
--       wish: JSON { subnets: [prefix], avoid: [prefix], pools: [pool] }, prefix { cidr, first, last, length },
--       first and last in hex,
--       pool { kind: s|v, cursor, head, take, unit, low, count, length }: slot numbers low…low+count-1 of UNIT addresses
--       (or UNIT /64s), written in the TAKE hex digits after HEAD
-- OUT   ok DOCUMENT (the same again for the same id) | name_taken HOLDER | quota_exceeded LIMIT | vni_exhausted | pool_exhausted CURSOR
--       | subnet_overlap CIDR OTHER (network ID NAME subnet|pool | route) | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root', 'limits')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed clear text

-- cjson would write an empty list as {}.
local function list(items)
  return #items == 0 and '[]' or '["' .. table.concat(items, '","') .. '"]'
end

local id, name = ARGV[5], ARGV[6]
local known = redis.call('HGET', KEYS[3], id)
if known then return { 'ok', known } end
local holder = redis.call('HGET', KEYS[4], name)
if holder then return { 'name_taken', holder } end
local most = meta[3] and cjson.decode(meta[3]).networks
if most and redis.call('HLEN', KEYS[3]) >= most then return { 'quota_exceeded', string.format('%.0f', most) } end

local wish = cjson.decode(ARGV[12])
local INDEX = KEYS[7]

-- Members of the index whose prefix overlaps this one. Two prefixes overlap when one contains the other: those inside lie
-- next to each other in the index, those around it can only begin where its own first address is masked.
local function overlapping(prefix, some)
  local family = #prefix.first == 8 and '4 ' or '6 '
  local found = redis.call('ZRANGEBYLEX', INDEX, '[' .. family .. prefix.first, '[' .. family .. prefix.last .. '~',
    'LIMIT', 0, some)
  for length = 0, prefix.length - 1 do
    if some > 0 and #found >= some then break end
    local whole = math.floor(length / 4)
    local hex = prefix.first:sub(1, whole)
    if length % 4 > 0 then
      local digit = tonumber(prefix.first:sub(whole + 1, whole + 1), 16)
      hex = hex .. string.format('%x', digit - digit % 2 ^ (4 - length % 4))
    end
    local around = family .. hex .. string.rep('0', #prefix.first - #hex) .. ' ' .. length .. ' '
    -- The same first address: the range above has it.
    if hex .. string.rep('0', #prefix.first - #hex) ~= prefix.first then
      for _, member in ipairs(redis.call('ZRANGEBYLEX', INDEX, '[' .. around, '[' .. around .. '~')) do
        found[#found + 1] = member
      end
    end
  end
  return found
end

local function parse(member)
  local length, kind, network, last, cidr = member:match('^%d %x+ (%d+) (%a) (%S+) (%x+) (%S+)$')
  return { length = length, kind = kind, network = network, last = last, cidr = cidr }
end

local function member(kind, prefix)
  return table.concat({ #prefix.first == 8 and '4' or '6', prefix.first, prefix.length, kind, id, prefix.last, prefix.cidr }, ' ')
end

local function route(prefix)
  for _, other in ipairs(wish.avoid) do
    if #other.first == #prefix.first and other.first <= prefix.last and prefix.first <= other.last then return other end
  end
end

-- Subnets asked for: never over a VIP pool or a route, over another subnet only when that is wished too.
local subnets, pools, own = {}, {}, {}
for _, subnet in ipairs(wish.subnets) do
  local reached = route(subnet)
  if reached then return { 'subnet_overlap', subnet.cidr, reached.cidr, 'route' } end
  for _, text in ipairs(overlapping(subnet, -1)) do
    local other = parse(text)
    if other.kind == 'v' or ARGV[11] ~= '1' then
      return { 'subnet_overlap', subnet.cidr, other.cidr, 'network', other.network,
        cjson.decode(redis.call('HGET', KEYS[3], other.network)).name, other.kind == 's' and 'subnet' or 'pool' }
    end
  end
  subnets[#subnets + 1] = subnet.cidr
  own[#own + 1] = member('s', subnet)
end

-- The pool's first slot from its cursor on that touches nothing. A slot in the way is skipped with all it covers.
local function allot(pool)
  local final = pool.low + pool.count - 1
  local function prefixof(slot)
    if pool.take == 8 then
      local first = string.format('%08x', slot * pool.unit)
      return { first = first, last = string.format('%08x', slot * pool.unit + pool.unit - 1), length = pool.length }
    end
    local first = pool.head .. string.format('%04x', slot) .. string.rep('0', 16)
    local host = (128 - pool.length) / 4
    return { first = first, last = first:sub(1, 32 - host) .. string.rep('f', host), length = pool.length }
  end
  local function slotof(hex)
    local head = hex:sub(1, #pool.head)
    if head ~= pool.head then return head > pool.head and final or pool.low end
    return math.floor(tonumber(hex:sub(#head + 1, #head + pool.take), 16) / pool.unit)
  end
  local function free(slot, stop)
    while slot <= stop do
      local prefix = prefixof(slot)
      local last
      for _, other in ipairs(wish.subnets) do
        if #other.first == #prefix.first and other.first <= prefix.last and prefix.first <= other.last then last = other.last end
      end
      local reached = route(prefix)
      if reached and (not last or reached.last > last) then last = reached.last end
      if not last then
        local text = overlapping(prefix, 1)[1]
        if not text then return slot, prefix end
        last = parse(text).last
      end
      slot = math.max(slot, slotof(last)) + 1
    end
  end
  local cursor = tonumber(redis.call('HGET', KEYS[1], pool.cursor) or pool.low)
  local slot, prefix = free(cursor, final)
  if slot then return slot, prefix end
  return free(pool.low, math.min(cursor - 1, final))
end

local cursors = {}
for _, pool in ipairs(wish.pools) do
  local slot, prefix = allot(pool)
  if not slot then return { 'pool_exhausted', pool.cursor } end
  prefix.cidr = text(prefix.first) .. '/' .. pool.length
  local place = pool.kind == 's' and subnets or pools
  place[#place + 1] = prefix.cidr
  own[#own + 1] = member(pool.kind, prefix)
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
for _, text in ipairs(own) do redis.call('ZADD', INDEX, 0, text) end
local document = '{' .. ARGV[7] .. ',\n' .. ARGV[8] .. ',\n"vni":' .. (ARGV[9] + vni) .. ',"vipPools":' .. list(pools)
  .. ',\n"subnets":' .. list(subnets) .. ',\n"published":[],\n"members":[]}'
redis.call('HSET', KEYS[3], id, document)
changed('network', id, document)
return { 'ok', document }
