#!lua
-- A node has, or is about to have, endpoints in the network.
-- KEYS  meta changes networks (registry)
-- ARGV  schema root channel origin id node
-- OUT   ok DOCUMENT | network_not_found | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed

local id, node = ARGV[5], ARGV[6]
local old = redis.call('HGET', KEYS[3], id)
if not old then return { 'network_not_found' } end
local head, members = old:match('^(.*\n"members":%[)([^\n]*)%]}$')
if members:find('"' .. node .. '"', 1, true) then return { 'ok', old } end
if members ~= '' then members = members .. ',' end
local document = head .. members .. '"' .. node .. '"]}'
redis.call('HSET', KEYS[3], id, document)
changed('network', id, document)
return { 'ok', document }
