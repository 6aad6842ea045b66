#!lua
-- Replaces a network's labels and grows its subnets; a subnet may only become a prefix that contains the old one.
-- KEYS  meta changes networks prefixes prefixIndex (registry)
-- ARGV  schema root channel origin id labels ('' = leave) wish
--       wish: JSON { subnets: [prefix], avoid: [prefix] }, prefix { cidr, first, last, length }, first and last in hex
-- OUT   ok DOCUMENT | network_not_found | invalid_input CIDR (contains no subnet of the network)
--       | subnet_overlap CIDR OTHER (network ID NAME subnet|pool | route) | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed

-- cjson would write an empty list as {}.
local function list(items)
  return #items == 0 and '[]' or '["' .. table.concat(items, '","') .. '"]'
end

local id = ARGV[5]
local old = redis.call('HGET', KEYS[3], id)
if not old then return { 'network_not_found' } end
local wish = cjson.decode(ARGV[7])
local INDEX = KEYS[5]

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

local function touch(a, b)
  return #a.first == #b.first and a.first <= b.last and b.first <= a.last
end

local mine = {}
for text in redis.call('HGET', KEYS[4], id):gmatch('[^\n]+') do
  local prefix = parse(text)
  prefix.first, prefix.text = text:match('^%d (%x+)'), text
  mine[#mine + 1] = prefix
end
for _, subnet in ipairs(wish.subnets) do
  local grown
  for _, prefix in ipairs(mine) do
    if prefix.kind == 's' and touch(prefix, subnet) and subnet.first <= prefix.first and subnet.last >= prefix.last then
      grown = prefix
    end
  end
  if not grown then return { 'invalid_input', subnet.cidr } end
  -- What the subnet overlaps today was allowed when it was made.
  for _, other in ipairs(wish.avoid) do
    if touch(other, subnet) and not touch(other, grown) then return { 'subnet_overlap', subnet.cidr, other.cidr, 'route' } end
  end
  for _, text in ipairs(overlapping(subnet, -1)) do
    local other = parse(text)
    other.first = text:match('^%d (%x+)')
    if (other.network ~= id or other.kind == 'v') and not touch(other, grown) then
      return { 'subnet_overlap', subnet.cidr, other.cidr, 'network', other.network,
        cjson.decode(redis.call('HGET', KEYS[3], other.network)).name, other.kind == 's' and 'subnet' or 'pool' }
    end
  end
  grown.first, grown.last, grown.length, grown.cidr = subnet.first, subnet.last, subnet.length, subnet.cidr
end

local subnets, own = {}, {}
for _, prefix in ipairs(mine) do
  if prefix.kind == 's' then subnets[#subnets + 1] = prefix.cidr end
  own[#own + 1] = member(prefix.kind, prefix)
end
local head, labels, vni, members = old:match('^([^\n]*\n)([^\n]*)(\n[^\n]*\n)[^\n]*(\n.*)$')
if ARGV[6] ~= '' then labels = ARGV[6] .. ',' end
local document = head .. labels .. vni .. '"subnets":' .. list(subnets) .. ',' .. members
if document == old then return { 'ok', old } end
redis.call('HSET', KEYS[4], id, table.concat(own, '\n'))
for i, prefix in ipairs(mine) do
  redis.call('ZREM', INDEX, prefix.text)
  redis.call('ZADD', INDEX, 0, own[i])
end
redis.call('HSET', KEYS[3], id, document)
changed('network', id, document)
return { 'ok', document }
