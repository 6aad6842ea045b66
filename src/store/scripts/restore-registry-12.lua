#!lua flags=allow-oom
-- A node offers the registry it remembers to a store that lost writes: what is missing is added, what is there stays.
-- KEYS  meta changes nodes nodeNames nodeIndexes networks networkNames vnis prefixes prefixIndex removed seen (registry)
-- ARGV  schema channel origin self newIncarnation incarnation n mark firstVni lastIndex offer layout
--       incarnation, n, mark: the last revision the node knows
--       offer: JSON { cluster: [field, value, …], nodes: [{ id, name, index, epoch, text }],
--       networks: [{ id, name, vni, text, prefixes: [{ kind: s|v, first, last, length, cidr }] }] }; first and last in hex,
--       text: the document, a node's up to its index
--       layout: of the store that was, which others may still need
-- OUT   ok made(0|1) [clusterId name incarnation ula dataPort underlayFamily limits schema] [id of a network added, …]
--       [node|network ID CODE HOLDER, …] (what could not be added: name_taken | vni_taken | subnet_overlap | index_exhausted
--       | removed) | other_cluster ID | store_schema SCHEMA
-- An empty store becomes the same cluster of a new incarnation. A store that still has the revision lost nothing.
local schema = redis.call('HGET', KEYS[1], 'schema')
if schema and tonumber(schema) > tonumber(ARGV[1]) then return { 'store_schema', schema } end

local scope, by = ARGV[3]:match('^(%S*) (.*)$')
-- One revision, one stream entry, one wake-up. The time in the entry's id tells two histories of one revision apart.
local function changed(kind, id, value)
  local rev = redis.call('HINCRBY', KEYS[1], 'rev', 1)
  local now = redis.call('TIME')
  local at = string.format('%.0f-%s%06d', rev, now[1], now[2])
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', 10000, at, 'kind', kind, 'id', id, 'value', value,
    'by', by)
  redis.call('PUBLISH', ARGV[2], scope)
end

-- First clear bit of [from, to], or nil. Bits past the end of the string are clear.
local function clear(key, from, to)
  for bit = from, to do
    if redis.call('GETBIT', key, bit) == 0 then return bit end
  end
end

local offer = cjson.decode(ARGV[11])
local self, n = ARGV[4], tonumber(ARGV[7])
local made, added, conflicts = '0', {}, {}

local function answer()
  local cluster = redis.call('HMGET', KEYS[1], 'clusterId', 'name', 'incarnation', 'ula', 'dataPort', 'underlayFamily', 'limits', 'schema')
  return { 'ok', made, cluster, added, conflicts }
end

local function refuse(what, id, code, holder)
  for _, text in ipairs({ what, id, code, holder or '' }) do conflicts[#conflicts + 1] = text end
end

if not schema then
  made = '1'
  schema = ARGV[12]
  redis.call('DEL', unpack(KEYS))
  redis.call('HSET', KEYS[1], 'schema', ARGV[12], 'incarnation', ARGV[5], 'root', ARGV[5], 'rev', 0, unpack(offer.cluster))
  redis.call('PUBLISH', ARGV[2], scope)
else
  local meta = redis.call('HMGET', KEYS[1], 'clusterId', 'incarnation', 'rev')
  for i = 1, #offer.cluster, 2 do
    if offer.cluster[i] == 'clusterId' and offer.cluster[i + 1] ~= meta[1] then return { 'other_cluster', meta[1] } end
  end
  if meta[2] == ARGV[6] and n <= tonumber(meta[3]) then
    local entry = redis.call('XRANGE', KEYS[2], ARGV[7], ARGV[7])[1]
    if not entry or ARGV[8] == '' or entry[1]:match('-(%d+)') == ARGV[8] then return answer() end
  end
end

local function removed(id)
  return redis.call('ZSCORE', KEYS[11], id)
end

-- Nodes. Facts of a host change with its epoch, so the higher one has them; of equal ones, its own word.
for _, node in ipairs(offer.nodes) do
  local old = redis.call('HGET', KEYS[3], node.id)
  if old then
    local index, epoch = old:match('"index":(%d+),"epoch":(%d+)}$')
    epoch = tonumber(epoch)
    local text = node.text .. '"index":' .. index .. ',"epoch":' .. string.format('%d', node.epoch) .. '}'
    local same = redis.call('HGET', KEYS[4], node.name) == node.id
    if same and (node.epoch > epoch or node.id == self and node.epoch == epoch) and text ~= old then
      redis.call('HSET', KEYS[3], node.id, text)
      changed('node', node.id, text)
    end
  elseif removed(node.id) then
    if node.id == self then refuse('node', node.id, 'removed') end
  else
    local holder = redis.call('HGET', KEYS[4], node.name)
    local index = node.index
    if redis.call('GETBIT', KEYS[5], index) == 1 then index = clear(KEYS[5], 1, tonumber(ARGV[10])) end
    if holder then
      refuse('node', node.id, 'name_taken', holder)
    elseif not index then
      refuse('node', node.id, 'index_exhausted')
    else
      local text = node.text .. '"index":' .. string.format('%d', index) .. ',"epoch":' .. string.format('%d', node.epoch) .. '}'
      redis.call('SETBIT', KEYS[5], index, 1)
      if index >= tonumber(redis.call('HGET', KEYS[1], 'index') or 1) then redis.call('HSET', KEYS[1], 'index', index + 1) end
      redis.call('HSET', KEYS[3], node.id, text)
      redis.call('HSET', KEYS[4], node.name, node.id)
      if tonumber(schema) >= 2 then redis.call('ZADD', KEYS[12], 'NX', 0, node.id) end
      changed('node', node.id, text)
    end
  end
end

-- Members of the index whose prefix overlaps this one. Two prefixes overlap when one contains the other: those inside lie
-- next to each other in the index, those around it can only begin where its own first address is masked.
local function overlapping(prefix)
  local family = #prefix.first == 8 and '4 ' or '6 '
  local found = redis.call('ZRANGEBYLEX', KEYS[10], '[' .. family .. prefix.first, '[' .. family .. prefix.last .. '~')
  for length = 0, prefix.length - 1 do
    local whole = math.floor(length / 4)
    local hex = prefix.first:sub(1, whole)
    if length % 4 > 0 then
      local digit = tonumber(prefix.first:sub(whole + 1, whole + 1), 16)
      hex = hex .. string.format('%x', digit - digit % 2 ^ (4 - length % 4))
    end
    local around = family .. hex .. string.rep('0', #prefix.first - #hex) .. ' ' .. length .. ' '
    if hex .. string.rep('0', #prefix.first - #hex) ~= prefix.first then
      for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[10], '[' .. around, '[' .. around .. '~')) do
        found[#found + 1] = member
      end
    end
  end
  return found
end

-- Networks. Those of the offer may overlap each other: they did when all was well.
local known = {}
for _, network in ipairs(offer.networks) do known[network.id] = true end
local function inTheWay(network)
  for _, prefix in ipairs(network.prefixes) do
    for _, member in ipairs(overlapping(prefix)) do
      local holder = member:match('^%d %x+ %d+ %a (%S+)')
      if not known[holder] then return holder end
    end
  end
end

for _, network in ipairs(offer.networks) do
  if redis.call('HEXISTS', KEYS[6], network.id) == 0 and not removed(network.id) then
    local bit = network.vni - ARGV[9]
    local holder = redis.call('HGET', KEYS[7], network.name)
    local around = not holder and inTheWay(network)
    if holder then
      refuse('network', network.id, 'name_taken', holder)
    elseif redis.call('GETBIT', KEYS[8], bit) == 1 then
      refuse('network', network.id, 'vni_taken')
    elseif around then
      refuse('network', network.id, 'subnet_overlap', around)
    else
      local own = {}
      for _, p in ipairs(network.prefixes) do
        local family = #p.first == 8 and '4' or '6'
        own[#own + 1] = table.concat({ family, p.first, p.length, p.kind, network.id, p.last, p.cidr }, ' ')
        redis.call('ZADD', KEYS[10], 0, own[#own])
      end
      redis.call('SETBIT', KEYS[8], bit, 1)
      -- The cursor walks on, so that a removed network's vni rests as long as possible.
      if bit >= tonumber(redis.call('HGET', KEYS[1], 'vni') or 0) then redis.call('HSET', KEYS[1], 'vni', bit + 1) end
      redis.call('HSET', KEYS[6], network.id, network.text)
      redis.call('HSET', KEYS[7], network.name, network.id)
      redis.call('HSET', KEYS[9], network.id, table.concat(own, '\n'))
      added[#added + 1] = network.id
      changed('network', network.id, network.text)
    end
  end
end
return answer()
