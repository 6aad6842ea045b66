#!lua flags=allow-oom
-- Compares one part of what a network's slot says with the rest, and mends it where asked: documents are right, everything else
-- follows from them. What is judged is judged whole by one run, so attaches and detaches may come in between two; a run looks
-- at some hundred entries, so that the store is not held up.
-- KEYS  meta changes endpoints names macs netns reserved holds addresses4 pool4 cooling4 addresses6 pool6 cooling6
--       services vips (network)
-- ARGV  schema root channel scope repair(1|0) cooldownMs part cursor plan
--       part: pools | endpoints | holds | services | vips | names | macs | netns | addresses4|6 | cooling4|6 | bits4|6
--       cursor: where to go on, '0' at first
--       plan: JSON { pools, reserved (see open-network), gone: [node the registry does not know], known: { id: document },
--       incarnation, entry, alone, missing: { address that is in use and held for nobody, as other parts have said: true } }; known: documents that were there at the revision (incarnation, entry of the stream);
--       alone: the network has no members, so there is nobody who knows more than the slot
-- OUT   ok CURSOR('0': that was all) CHECKED [KIND SUBJECT DETAIL REPAIRED(1|0), …] [node that has endpoints, …]
--       [id without a document, …]
--       | recovering NODE… | network_closing | gone | absent | store_schema SCHEMA | store_lost_writes
-- What runs on a host must not lose its address to a mistake here: what is held for an endpoint without a document is given
-- back by its document where the caller knows it, and freed only by a caller who follows the network and does not.
local fields = { 'schema', 'root', 'state', 'incarnation', 'pool4', 'pool6', 'awaits', 'awaitedUntil' }
local meta = redis.call('HMGET', KEYS[1], unpack(fields))
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end
if meta[3] == 'gone' then return { 'gone' } end
if meta[3] == 'closing' then return { 'network_closing' } end

-- include: changed text hex

local repair, part, cursor, plan = ARGV[5] == '1', ARGV[7], ARGV[8], cjson.decode(ARGV[9])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = string.format('%.0f', now + ARGV[6])
-- Who has not spoken since a loss holds more than is seen here.
if repair and meta[7] and meta[7] ~= '' and now < tonumber(meta[8]) then return { 'recovering', meta[7] } end

local checked, findings, nodes, lost = 0, {}, {}, {}
-- Says what is wrong; true where it is to be mended now.
local function say(kind, subject, detail, possible)
  local mended = repair and possible and true or false
  for _, each in ipairs({ kind, subject, detail, mended and '1' or '0' }) do findings[#findings + 1] = each end
  return mended
end

-- Does the caller know all there is to know of it: was its revision in our history, and has nothing happened to that id since?
local later
local function certain(id)
  if not later then
    later = { whole = plan.incarnation == meta[4] and plan.entry ~= '' }
    local entries = later.whole and redis.call('XRANGE', KEYS[2], plan.entry, '+') or {}
    if not entries[1] or entries[1][1] ~= plan.entry then later.whole = false end
    for i = 2, #entries do later[entries[i][2][4]] = true end
  end
  return plan.alone or later.whole and not later[id]
end
local elsewhere = repair and '; repair it on a host that is on the network' or ''

-- What only one thing of the network can have, by the number of its key.
local NAME, MAC, NETNS, FOUR, SIX, VIP = 4, 5, 6, 9, 12, 16
local what = { [NAME] = 'name', [MAC] = 'MAC', [NETNS] = 'namespace', [FOUR] = 'address', [SIX] = 'address', [VIP] = 'virtual IP' }

local function shown(i, field)
  return (i == FOUR or i == SIX or i == VIP) and text(field) or field
end

-- A document as far as it matters here, with what it claims: { key number, field }. nil where it cannot be read.
local function parsed(kind, id, document)
  local good, value = pcall(cjson.decode, document)
  if not good or type(value) ~= 'table' or value.id ~= id or type(value.name) ~= 'string' then return end
  local list = kind == 'endpoint' and value.addresses or value.vips
  if type(list) ~= 'table' then return end
  local hexes, claims = {}, { { NAME, value.name } }
  for _, address in ipairs(list) do
    local each = type(address) == 'string' and hex(address)
    if not each then return end
    hexes[#hexes + 1] = each
    claims[#claims + 1] = { kind == 'service' and VIP or #each == 8 and FOUR or SIX, each }
  end
  if kind == 'endpoint' then
    local node, mac, born = value.node, value.mac, value.born
    if type(node) ~= 'string' or type(mac) ~= 'string' or type(born) ~= 'table' then return end
    if type(born.boot) ~= 'string' or type(born.dev) ~= 'number' or type(born.inode) ~= 'number' then return end
    local netns = string.format('%s/%s/%.0f/%.0f', node, born.boot, born.dev, born.inode)
    claims[#claims + 1] = { MAC, mac }
    claims[#claims + 1] = { NETNS, netns }
    value.line = table.concat({ node, value.name, mac, netns, table.concat(hexes, ' ') }, '\n')
  end
  value.kind, value.hexes, value.claims = kind, hexes, claims
  return value
end

-- Of an id: the thing, or false where its document cannot be read, or nil where it has none.
local function thing(id)
  for kind, i in pairs({ endpoint = 3, service = 15 }) do
    local document = redis.call('HGET', KEYS[i], id)
    if document then return parsed(kind, id, document) or false end
  end
end
local function claims(one, i, field)
  for _, claim in ipairs(one.claims) do
    if claim[1] == i and claim[2] == field then return true end
  end
end

local function poolof(each)
  for _, pool in ipairs(plan.pools) do
    if #pool.first == #each then return pool end
  end
end
-- Its place in the pool's bitmap, where it has one.
local function offset(each)
  local pool = poolof(each)
  local at = pool and each:sub(1, -9) == pool.base:sub(1, -9) and tonumber(each:sub(-8), 16) - tonumber(pool.base:sub(-8), 16)
  return at and at >= 0 and at < pool.window and at or nil
end
local function marked(each, use)
  local at, key = offset(each), KEYS[#each == 8 and 10 or 13]
  if at and redis.call('GETBIT', key, at) == 0 and say('bit', text(each), use .. ', but not marked in the pool', true) then
    redis.call('SETBIT', key, at, 1)
  end
end

local function drop(i, field)
  redis.call('HDEL', KEYS[i], field)
  if i ~= FOUR and i ~= SIX then return end
  -- Whoever may still send from it has the time to hear.
  redis.call('ZADD', KEYS[i + 2], due, field)
  local at = offset(field)
  if at then redis.call('SETBIT', KEYS[i + 1], at, 1) end
end
-- Takes out a thing with all it claims.
local function release(kind, id, list)
  for _, claim in ipairs(list) do
    if redis.call('HGET', KEYS[claim[1]], claim[2]) == id then drop(claim[1], claim[2]) end
  end
  redis.call('HDEL', KEYS[kind == 'endpoint' and 3 or 15], id)
  if kind == 'endpoint' then redis.call('HDEL', KEYS[8], id) end
  changed(kind, id)
end

-- Is every claim its own, and nothing missing?
local function look(id, one)
  for _, claim in ipairs(one.claims) do
    local i, field = claim[1], claim[2]
    local holder = redis.call('HGET', KEYS[i], field)
    if holder ~= id then
      local other
      if holder then other = thing(holder) end
      if other and claims(other, i, field) then
        local detail = what[i] .. ' of ' .. one.kind .. ' ' .. id .. ' is held for ' .. holder .. ', which has it too; remove one: ' .. id
        say('double', shown(i, field), detail, false)
      else
        local detail = what[i] .. ' of ' .. one.kind .. ' "' .. one.name .. '" is held for ' .. (holder or 'nobody')
        if say('missing', shown(i, field), detail, other ~= false) then redis.call('HSET', KEYS[i], field, id) end
      end
    end
  end
  if one.kind == 'service' then return end
  for _, each in ipairs(one.hexes) do
    local pool = poolof(each)
    if not pool or each < pool.first or each > pool.last then
      say('outside', text(each), 'address of endpoint "' .. one.name .. '" is in no subnet of the network', false)
    end
    marked(each, 'is in use')
  end
  if redis.call('HGET', KEYS[8], id) ~= one.line and say('missing', one.name, 'what its detach gives back is not as it should be', true) then
    redis.call('HSET', KEYS[8], id, one.line)
  end
end

-- One without a document that can be read comes back where the caller knows it. False: the caller does not.
local function revive(id, kind, detail)
  lost[#lost + 1] = id
  local document = plan.known[id]
  local one
  if document and certain(id) then
    for _, each in ipairs({ 'endpoint', 'service' }) do
      if not kind or each == kind then one = one or parsed(each, id, document) end
    end
  end
  if not one then return false end
  if say(detail and 'unreadable' or 'lost', one.name, one.kind .. ' ' .. id .. (detail or ' has entries, but no document'), true) then
    redis.call('HSET', KEYS[one.kind == 'endpoint' and 3 or 15], id, document)
    changed(one.kind, id, document)
  end
  look(id, one)
  return true
end

local function document(kind, id, text)
  local one = parsed(kind, id, text)
  if not one then
    local detail = ' has a document that cannot be read'
    if not revive(id, kind, detail) then say('unreadable', id, kind .. detail .. elsewhere, false) end
    return
  end
  if kind == 'endpoint' then
    nodes[one.node] = true
    for _, node in ipairs(plan.gone) do
      if node == one.node then
        local detail = 'endpoint ' .. id .. ' of node ' .. node .. ', which the cluster does not know'
        if say('orphan', one.name, detail, true) then release(kind, id, one.claims) end
        return
      end
    end
  end
  look(id, one)
end

local function hold(id, line)
  if redis.call('HEXISTS', KEYS[3], id) == 1 or revive(id, 'endpoint') then return end
  local _, name, mac, netns, hexes = line:match('^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)$')
  local list = name and { { NAME, name }, { MAC, mac }, { NETNS, netns } } or {}
  for each in (hexes or ''):gmatch('%x+') do list[#list + 1] = { #each == 8 and FOUR or SIX, each } end
  local possible = certain(id)
  local detail = 'endpoint ' .. id .. ' has entries, but no document' .. (possible and '' or elsewhere)
  if say('lost', name or id, detail, possible) then release('endpoint', id, list) end
end

local function entry(i, field, id)
  local one = thing(id)
  if one == false or one and claims(one, i, field) then return end
  -- Of what was lost the other parts tell.
  if not one and (redis.call('HEXISTS', KEYS[8], id) == 1 or revive(id)) then return end
  local possible = one or certain(id)
  local detail = what[i] .. ' is held for ' .. id .. ', which ' .. (one and 'has another' or 'is not there')
  if not say('leaked', shown(i, field), detail .. (possible and '' or elsewhere), possible) then return end
  drop(i, field)
  if not one and (i == FOUR or i == SIX) then changed('endpoint', id) end
  if not one and i == VIP then changed('service', id) end
end

local function rest(i, each)
  if redis.call('HEXISTS', KEYS[i - 2], each) == 0 then return marked(each, 'is at rest') end
  if say('cooling', text(each), 'is at rest, though in use', true) then redis.call('ZREM', KEYS[i], each) end
end

local function pools()
  for _, pool in ipairs(plan.pools) do
    local stored = meta[pool.family == 4 and 5 or 6]
    local first, last = (stored or ''):match('^(%x+) (%x+)')
    if not stored or stored ~= pool.text and pool.first <= first and pool.last >= last then
      say('pool', text(pool.first), 'the subnet that begins here is not known as it is', false)
    end
  end
  local reserved = {}
  for _, each in ipairs(plan.reserved) do
    reserved[each] = true
    if redis.call('SISMEMBER', KEYS[7], each) == 0 and say('reserved', text(each), 'is reserved, and could be given out', true) then
      redis.call('SADD', KEYS[7], each)
    end
    marked(each, 'is reserved')
  end
  for _, each in ipairs(redis.call('SMEMBERS', KEYS[7])) do
    if not reserved[each] and say('reserved', text(each), 'is never given out, though it is not reserved', true) then
      redis.call('SREM', KEYS[7], each)
    end
  end
end

-- Bits that are set for nothing, in the next bytes that have any. Gives the cursor.
local function bits(family, from)
  local pool
  for _, each in ipairs(plan.pools) do
    if each.family == family then pool = each end
  end
  local addresses = family == 4 and FOUR or SIX
  local start = pool and redis.call('BITPOS', KEYS[addresses + 1], 1, from) or -1
  if start < 0 or start >= pool.window then return '0' end
  from = math.floor(start / 8)
  local bytes = redis.call('GETRANGE', KEYS[addresses + 1], from, from + 255)
  local head, low, run = pool.base:sub(1, -9), tonumber(pool.base:sub(-8), 16), nil
  local function flush()
    if not run then return end
    local first, last = text(head .. string.format('%08x', low + run[1])), text(head .. string.format('%08x', low + run[2]))
    local subject = first == last and first or first .. '-' .. last
    if say('bit', subject, 'marked as used in the pool, and nothing uses it', true) then
      for at = run[1], run[2] do redis.call('SETBIT', KEYS[addresses + 1], at, 0) end
    end
    run = nil
  end
  for k = 1, #bytes do
    for shift = 0, bytes:byte(k) > 0 and 7 or -1 do
      local at = (from + k - 1) * 8 + shift
      if bit.band(bytes:byte(k), bit.rshift(128, shift)) ~= 0 then
        checked = checked + 1
        local each = head .. string.format('%08x', low + at)
        local used = redis.call('HEXISTS', KEYS[addresses], each) == 1 or redis.call('ZSCORE', KEYS[addresses + 2], each)
        if not used and redis.call('SISMEMBER', KEYS[7], each) == 0 and not plan.missing[text(each)] then
          if run and run[2] + 1 ~= at then flush() end
          run = { run and run[1] or at, at }
        end
      end
    end
  end
  flush()
  return tostring(from + #bytes)
end

-- Part by part: command, number of the key, and what is done about one item.
local parts = {
  endpoints = { 'HSCAN', 3, function(id, each) document('endpoint', id, each) end },
  services = { 'HSCAN', 15, function(id, each) document('service', id, each) end },
  holds = { 'HSCAN', 8, hold },
  vips = { 'HSCAN', VIP, function(field, id) entry(VIP, field, id) end },
  names = { 'HSCAN', NAME, function(field, id) entry(NAME, field, id) end },
  macs = { 'HSCAN', MAC, function(field, id) entry(MAC, field, id) end },
  netns = { 'HSCAN', NETNS, function(field, id) entry(NETNS, field, id) end },
  addresses4 = { 'HSCAN', FOUR, function(field, id) entry(FOUR, field, id) end },
  addresses6 = { 'HSCAN', SIX, function(field, id) entry(SIX, field, id) end },
  cooling4 = { 'ZSCAN', 11, function(each) rest(11, each) end },
  cooling6 = { 'ZSCAN', 14, function(each) rest(14, each) end },
}
local scan = parts[part]
if scan then
  local answer = redis.call(scan[1], KEYS[scan[2]], cursor, 'COUNT', 300)
  cursor = answer[1]
  for i = 1, #answer[2], 2 do
    checked = checked + 1
    scan[3](answer[2][i], answer[2][i + 1])
  end
elseif part == 'pools' then
  pools()
else
  cursor = bits(tonumber(part:match('%d$')), tonumber(cursor))
end

local ids = {}
for node in pairs(nodes) do ids[#ids + 1] = node end
return { 'ok', cursor, tostring(checked), findings, ids, lost }
