#!lua flags=allow-oom
-- Members of networks that are no nodes of the cluster; mended where asked.
-- KEYS  meta changes nodes networks (registry)
-- ARGV  schema root channel scope repair(1|0)
-- OUT   ok [network ID, member, …] | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed

local found = {}
local networks = redis.call('HGETALL', KEYS[4])
for i = 1, #networks, 2 do
  local id, head, members = networks[i], networks[i + 1]:match('^(.*\n"members":%[)([^\n]*)%]}$')
  local rest, strangers = {}, 0
  for member in (members or ''):gmatch('"([^"]+)"') do
    if redis.call('HEXISTS', KEYS[3], member) == 1 then
      rest[#rest + 1] = '"' .. member .. '"'
    else
      strangers = strangers + 1
      found[#found + 1] = id
      found[#found + 1] = member
    end
  end
  if strangers > 0 and ARGV[5] == '1' then
    local document = head .. table.concat(rest, ',') .. ']}'
    redis.call('HSET', KEYS[4], id, document)
    changed('network', id, document)
  end
end
return { 'ok', found }
