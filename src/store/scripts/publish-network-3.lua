#!lua flags=allow-oom
-- A service's published ports become those given; a port is one service's in the whole cluster.
-- KEYS  meta changes networks (registry)
-- ARGV  schema root channel origin id service wish
--       wish: JSON list of { text, ip ('' = all addresses), port, proto }, text: the entry's JSON
-- OUT   ok DOCUMENT | network_not_found | published_port_taken PORT/PROTO SERVICE NETWORKNAME | absent | store_schema SCHEMA
--       | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed

local id, service, wish = ARGV[5], ARGV[6], cjson.decode(ARGV[7])
local old = redis.call('HGET', KEYS[3], id)
if not old then return { 'network_not_found' } end

-- Entry by entry: {"service":"ID",…}, as they were written.
local function entries(document)
  return document:match('\n"published":%[([^\n]*)%],\n'):gmatch('{[^}]*}')
end

if #wish > 0 then
  for _, document in ipairs(redis.call('HVALS', KEYS[3])) do
    for text in entries(document) do
      local other = cjson.decode(text)
      for _, mine in ipairs(wish) do
        local same = other.port == mine.port and other.proto == mine.proto
        local meet = not other.ip or mine.ip == '' or other.ip == mine.ip
        if other.service ~= service and same and meet then
          return { 'published_port_taken', mine.port .. '/' .. mine.proto, other.service, cjson.decode(document).name }
        end
      end
    end
  end
end

local list = {}
for text in entries(old) do
  if cjson.decode(text).service ~= service then list[#list + 1] = text end
end
for _, mine in ipairs(wish) do list[#list + 1] = mine.text end
local head, tail = old:match('^(.*\n"published":%[)[^\n]*(%],\n.*)$')
local document = head .. table.concat(list, ',') .. tail
if document == old then return { 'ok', old } end
redis.call('HSET', KEYS[3], id, document)
changed('network', id, document)
return { 'ok', document }
