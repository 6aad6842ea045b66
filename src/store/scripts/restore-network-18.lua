#!lua flags=allow-oom
-- A node tells a network's slot that lost writes what it holds there: the slot is opened again where it is gone, the
-- node's endpoints are what it says, and who is in the store already keeps what both claim.
-- KEYS  meta changes endpoints names macs netns epochs reserved holds
--       addresses4 pool4 cooling4 addresses6 pool6 cooling6 asserted services vips (network)
-- ARGV  schema root channel origin node epoch newIncarnation incarnation n mark plan holdMs awaitMs saved(1|0)
--       incarnation, n, mark: the last revision the node knows, '' when it did not follow the network
--       saved: a backup speaks for the node, which may yet tell itself
--       plan: JSON { pools, reserved (see open-network), members: [node id], others: [hex],
--       mine: [{ id, name, mac, netns, hexes, text }], services: [{ id, name, hexes, text }] }; others: addresses of other nodes' endpoints the node remembers
-- OUT   ok [ID CODE HOLDER, …] (endpoints that lost: name_taken | mac_taken | address_taken | outside_subnet;
--       the same answer to the same node until the slot loses writes again) | gone | stale_epoch CURRENT
--       | store_schema SCHEMA
-- A slot that still has the revision lost nothing: only its root is renewed.
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root', 'state', 'pool4', 'pool6', 'incarnation', 'rev', 'past', 'awaits', 'restored')
if meta[1] and tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if meta[3] == 'gone' then return { 'gone' } end

-- include: changed

local node, epoch, incarnation, n = ARGV[5], tonumber(ARGV[6]), ARGV[8], tonumber(ARGV[9])
local newest = tonumber(redis.call('HGET', KEYS[7], node) or 0)
if epoch < newest then return { 'stale_epoch', tostring(newest) } end

local function split(text)
  local words = {}
  for word in (text or ''):gmatch('%S+') do words[#words + 1] = word end
  return words
end
local function has(words, wanted)
  for _, word in ipairs(words) do
    if word == wanted then return true end
  end
end

local plan = cjson.decode(ARGV[11])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Is this a loss, and one that nobody has dealt with yet? Whoever knows the incarnation from before it was is expected.
local past = split(meta[8])
local lost = false
if not meta[7] then
  redis.call('DEL', unpack(KEYS))
  redis.call('HSET', KEYS[1], 'schema', ARGV[1], 'id', ARGV[4], 'rev', 0, 'state', meta[3] or 'open')
  for _, hex in ipairs(plan.reserved) do redis.call('SADD', KEYS[8], hex) end
  meta[4], meta[5], lost = false, false, true
elseif n then
  lost = incarnation ~= meta[6] and not has(past, incarnation)
  if incarnation == meta[6] then
    local entry = redis.call('XRANGE', KEYS[2], ARGV[9], ARGV[9])[1]
    lost = n > tonumber(meta[7]) or (entry ~= nil and ARGV[10] ~= '' and entry[1]:match('-(%d+)') ~= ARGV[10])
  end
end
redis.call('HSET', KEYS[1], 'root', ARGV[2])

local saved = ARGV[14] == '1'
local kept = not lost and not saved and redis.call('HGET', KEYS[16], node)
if not lost and n and incarnation == meta[6] then return { 'ok', split(kept or '') } end

if lost then
  redis.call('HDEL', KEYS[1], 'restored')
  if meta[6] and not has(past, meta[6]) then past[#past + 1] = meta[6] end
  if incarnation ~= '' and not has(past, incarnation) then past[#past + 1] = incarnation end
  redis.call('DEL', KEYS[16])
  redis.call('HSET', KEYS[1], 'incarnation', ARGV[7], 'past', table.concat(past, ' '), 'awaits', table.concat(plan.members, ' '),
    'awaitedUntil', string.format('%.0f', now + ARGV[13]))
  meta[9] = table.concat(plan.members, ' ')
end

-- What open-network does: pools that are missing or have grown.
local pools, remade = {}, false
for _, pool in ipairs(plan.pools) do
  local four = pool.family == 4
  local stored = meta[four and 4 or 5]
  local first, last
  if stored then first, last = stored:match('^(%x+) (%x+)') end
  local bitmap = KEYS[four and 11 or 14]
  if stored ~= pool.text and (not stored or pool.first <= first and pool.last >= last) then
    redis.call('HSET', KEYS[1], four and 'pool4' or 'pool6', pool.text)
    redis.call('HDEL', KEYS[1], four and 'next4' or 'next6')
    redis.call('DEL', bitmap)
    stored, remade = pool.text, true
  end
  local base, window
  first, last, base, window = stored:match('^(%x+) (%x+) %x+ (%x+) (%d+)')
  pools[#first] = { first = first, last = last, head = base:sub(1, -9), low = tonumber(base:sub(-8), 16),
    window = tonumber(window), bitmap = bitmap, next = four and 'next4' or 'next6', top = -1 }
end
local function mark(hex)
  local pool = pools[#hex]
  local at = pool and tonumber(hex:sub(-8), 16) - pool.low
  if pool and hex:sub(1, -9) == pool.head and at >= 0 and at < pool.window then
    redis.call('SETBIT', pool.bitmap, at, 1)
    return pool, at
  end
end
for i = 10, remade and 13 or 0, 3 do
  for _, hex in ipairs(redis.call('HKEYS', KEYS[i])) do mark(hex) end
  for _, hex in ipairs(redis.call('ZRANGE', KEYS[i + 2], 0, -1)) do mark(hex) end
end
for _, hex in ipairs(remade and plan.reserved or {}) do mark(hex) end

local function keyof(hex)
  return #hex == 8 and 10 or 13
end

-- Services belong to nobody: whoever remembers one that the slot has lost brings it back, as it was then.
for _, service in ipairs(plan.services) do
  local holder = redis.call('HGET', KEYS[4], service.name)
  local stored = redis.call('HGET', KEYS[17], service.id)
  local free = not holder or holder == service.id
  for _, hex in ipairs(service.hexes) do
    local owner = redis.call('HGET', KEYS[18], hex)
    if owner and owner ~= service.id then free = false end
  end
  if free and (not stored or (lost and stored ~= service.text)) then
    if stored then redis.call('HDEL', KEYS[4], cjson.decode(stored).name) end
    redis.call('HSET', KEYS[17], service.id, service.text)
    redis.call('HSET', KEYS[4], service.name, service.id)
    for _, hex in ipairs(service.hexes) do redis.call('HSET', KEYS[18], hex, service.id) end
    changed('service', service.id, service.text)
  end
end

local conflicts = {}
if not kept then
  if epoch > newest then redis.call('HSET', KEYS[7], node, epoch) end
  local ids = {}
  for _, mine in ipairs(plan.mine) do ids[mine.id] = true end

  -- Endpoints of this node that came back with an older store: it has detached them since. Not so what a backup said of a
  -- network that the node had forgotten altogether.
  local forgotten = meta[10] and not lost and not n
  for _, id in ipairs(redis.call('HKEYS', KEYS[9])) do
    local owner, name, mac, netns, hexes = redis.call('HGET', KEYS[9], id):match('^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)$')
    if owner == node and not ids[id] and not forgotten then
      for hex in hexes:gmatch('%x+') do
        redis.call('HDEL', KEYS[keyof(hex)], hex)
        redis.call('ZADD', KEYS[keyof(hex) + 2], string.format('%.0f', now + 30000), hex)
      end
      redis.call('HDEL', KEYS[3], id)
      redis.call('HDEL', KEYS[4], name)
      redis.call('HDEL', KEYS[5], mac)
      redis.call('HDEL', KEYS[6], netns)
      redis.call('HDEL', KEYS[9], id)
      changed('endpoint', id)
    end
  end

  local function refused(mine)
    for i, key in ipairs({ KEYS[4], KEYS[5], KEYS[6] }) do
      local holder = redis.call('HGET', key, ({ mine.name, mine.mac, mine.netns })[i])
      if holder and holder ~= mine.id then return ({ 'name_taken', 'mac_taken', 'netns_attached' })[i], holder end
    end
    for _, hex in ipairs(mine.hexes) do
      local pool = pools[#hex]
      if not pool or hex < pool.first or hex > pool.last then return 'outside_subnet', '-' end
      local holder = redis.call('HGET', KEYS[keyof(hex)], hex)
      if holder and holder ~= mine.id then return 'address_taken', holder end
    end
  end
  for _, mine in ipairs(plan.mine) do
    local code, holder = refused(mine)
    if code then
      for _, text in ipairs({ mine.id, code, holder }) do conflicts[#conflicts + 1] = text end
    else
      for _, hex in ipairs(mine.hexes) do
        redis.call('HSET', KEYS[keyof(hex)], hex, mine.id)
        redis.call('ZREM', KEYS[keyof(hex) + 2], hex)
        local pool, at = mark(hex)
        if pool then pool.top = math.max(pool.top, at) end
      end
      redis.call('HSET', KEYS[4], mine.name, mine.id)
      redis.call('HSET', KEYS[5], mine.mac, mine.id)
      redis.call('HSET', KEYS[6], mine.netns, mine.id)
      redis.call('HSET', KEYS[9], mine.id, table.concat({ node, mine.name, mine.mac, mine.netns, table.concat(mine.hexes, ' ') }, '\n'))
      if redis.call('HGET', KEYS[3], mine.id) ~= mine.text then
        redis.call('HSET', KEYS[3], mine.id, mine.text)
        changed('endpoint', mine.id, mine.text)
      end
    end
  end

  -- Addresses of those who have not said so themselves yet rest, so that nobody is given them meanwhile.
  for _, hex in ipairs(plan.others) do
    local pool, at = mark(hex)
    if redis.call('HEXISTS', KEYS[keyof(hex)], hex) == 0 then
      redis.call('ZADD', KEYS[keyof(hex) + 2], string.format('%.0f', now + ARGV[12]), hex)
    end
    if pool then pool.top = math.max(pool.top, at) end
  end
  -- The cursor goes on behind the highest: what was freed just before the loss is forgotten, and should rest all the same.
  for _, pool in pairs(pools) do
    if pool.top >= tonumber(redis.call('HGET', KEYS[1], pool.next) or 0) then redis.call('HSET', KEYS[1], pool.next, pool.top + 1) end
  end

  local awaits = {}
  for _, member in ipairs(split(meta[9])) do
    if member ~= node then awaits[#awaits + 1] = member end
  end
  redis.call('HSET', KEYS[1], 'awaits', table.concat(awaits, ' '))
  kept = table.concat(conflicts, ' ')
  if saved then
    redis.call('HSET', KEYS[1], 'restored', '1')
  else
    redis.call('HSET', KEYS[16], node, kept)
    changed('asserted', node)
  end
end
return { 'ok', split(kept) }
