#!lua flags=allow-oom
-- Brings the registry to this layout once every node's agent knows it; older agents are refused from here on.
-- KEYS  meta changes nodes leases seen (registry)
-- ARGV  schema root channel origin
-- OUT   ok SCHEMA | behind [id of a node, …] | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root', 'clusterId')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end
if meta[1] == ARGV[1] then return { 'ok', meta[1] } end

-- include: changed

local behind, nodes = {}, redis.call('HGETALL', KEYS[3])
for i = 1, #nodes, 2 do
  local knows = tonumber(nodes[i + 1]:match('[,{]"layout":(%d+)') or 1)
  if knows < tonumber(ARGV[1]) then behind[#behind + 1] = nodes[i] end
end
if #behind > 0 then return { 'behind', behind } end

if tonumber(meta[1]) < 2 then
  redis.call('DEL', KEYS[5])
  for i = 1, #nodes, 2 do
    local lease = redis.call('HGET', KEYS[4], nodes[i]) or ''
    redis.call('ZADD', KEYS[5], lease:match('^%S+ %S+ (%d+)') or 0, nodes[i])
  end
end
redis.call('HSET', KEYS[1], 'schema', ARGV[1])
changed('layout', meta[3], ARGV[1])
return { 'ok', ARGV[1] }
