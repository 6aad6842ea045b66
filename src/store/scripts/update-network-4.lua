-- Replaces a network's labels and grows its subnets; a subnet may only become a prefix that contains the old one.
-- KEYS  meta changes networks prefixes (registry)
-- ARGV  schema root channel scope id labels ('' = leave) wish
--       wish: JSON { subnets: [prefix], avoid: [prefix] }, prefix { cidr, first, last } in hex
-- OUT   ok DOCUMENT | network_not_found | invalid_input CIDR (contains no subnet of the network)
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

-- cjson would write an empty list as {}.
local function list(items)
  return #items == 0 and '[]' or '["' .. table.concat(items, '","') .. '"]'
end

local id = ARGV[5]
local old = redis.call('HGET', KEYS[3], id)
if not old then return { 'network_not_found' } end
local wish = cjson.decode(ARGV[7])
local others, mine = {}, {}
local prefixes = redis.call('HGETALL', KEYS[4])
for i = 1, #prefixes, 2 do
  for kind, first, last, cidr in prefixes[i + 1]:gmatch('(%a) (%x+) (%x+) (%S+)') do
    local prefix = { kind = kind, first = first, last = last, cidr = cidr, network = prefixes[i] }
    if prefixes[i] == id then mine[#mine + 1] = prefix end
    if prefixes[i] ~= id or kind == 'v' then others[#others + 1] = prefix end
  end
end
for _, route in ipairs(wish.avoid) do
  others[#others + 1] = { kind = 'r', first = route.first, last = route.last, cidr = route.cidr }
end

local function touch(a, b)
  return #a.first == #b.first and a.first <= b.last and b.first <= a.last
end
for _, subnet in ipairs(wish.subnets) do
  local grown
  for _, prefix in ipairs(mine) do
    if prefix.kind == 's' and touch(prefix, subnet) and subnet.first <= prefix.first and subnet.last >= prefix.last then
      grown = prefix
    end
  end
  if not grown then return { 'invalid_input', subnet.cidr } end
  for _, other in ipairs(others) do
    -- What the subnet overlaps today was allowed when it was made.
    if touch(other, subnet) and not touch(other, grown) then
      if other.kind == 'r' then return { 'subnet_overlap', subnet.cidr, other.cidr, 'route' } end
      return { 'subnet_overlap', subnet.cidr, other.cidr, 'network', other.network,
        cjson.decode(redis.call('HGET', KEYS[3], other.network)).name, other.kind == 's' and 'subnet' or 'pool' }
    end
  end
  grown.first, grown.last, grown.cidr = subnet.first, subnet.last, subnet.cidr
end

local subnets, own = {}, {}
for _, prefix in ipairs(mine) do
  if prefix.kind == 's' then subnets[#subnets + 1] = prefix.cidr end
  own[#own + 1] = prefix.kind .. ' ' .. prefix.first .. ' ' .. prefix.last .. ' ' .. prefix.cidr
end
local head, labels, vni, members = old:match('^([^\n]*\n)([^\n]*)(\n[^\n]*\n)[^\n]*(\n.*)$')
if ARGV[6] ~= '' then labels = ARGV[6] .. ',' end
local document = head .. labels .. vni .. '"subnets":' .. list(subnets) .. ',' .. members
if document == old then return { 'ok', old } end
redis.call('HSET', KEYS[4], id, table.concat(own, '\n'))
redis.call('HSET', KEYS[3], id, document)
changed('network', id, document)
return { 'ok', document }
