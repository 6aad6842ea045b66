#!lua flags=allow-oom
-- A node no longer has endpoints in the network. A network or member that is gone already is fine.
-- KEYS  meta changes networks (registry)
-- ARGV  schema root channel origin id node
-- OUT   ok | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed

local id, node = ARGV[5], ARGV[6]
local old = redis.call('HGET', KEYS[3], id)
if not old then return { 'ok' } end
local head, members = old:match('^(.*\n"members":%[)([^\n]*)%]}$')
local rest = {}
for member in members:gmatch('"[^"]+"') do
  if member ~= '"' .. node .. '"' then rest[#rest + 1] = member end
end
local document = head .. table.concat(rest, ',') .. ']}'
if document == old then return { 'ok' } end
redis.call('HSET', KEYS[3], id, document)
changed('network', id, document)
return { 'ok' }
