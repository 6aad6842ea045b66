#!lua
-- Registers a node, or refreshes what is known about it; index, epoch and time of joining stay.
-- KEYS  meta changes nodes nodeNames nodeIndexes removed seen (registry)
-- ARGV  schema root channel origin id name who facts joined lastIndex
--       who, facts, joined: comma-separated JSON members
-- OUT   ok DOCUMENT | name_taken HOLDER | index_exhausted | absent | store_schema SCHEMA | store_lost_writes
-- A document is JSON in lines, so that a script replaces a whole line and never re-encodes.
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed clear

local id, name = ARGV[5], ARGV[6]
local holder = redis.call('HGET', KEYS[4], name)
if holder and holder ~= id then return { 'name_taken', holder } end

local old = redis.call('HGET', KEYS[3], id)
local tail
if old then
  tail = old:match('^[^\n]*\n[^\n]*\n(.*)$')
else
  local cursor = tonumber(redis.call('HGET', KEYS[1], 'index') or 1)
  local index = clear(KEYS[5], cursor, tonumber(ARGV[10])) or clear(KEYS[5], 1, cursor - 1)
  if not index then return { 'index_exhausted' } end
  redis.call('SETBIT', KEYS[5], index, 1)
  redis.call('HSET', KEYS[1], 'index', index + 1)
  -- One that was removed is welcome again when somebody says so.
  redis.call('ZREM', KEYS[6], id)
  tail = ARGV[9] .. ',\n"index":' .. index .. ',"epoch":0}'
end
local document = '{' .. ARGV[7] .. ',\n' .. ARGV[8] .. ',\n' .. tail
if document == old then return { 'ok', old } end
if old then
  local before = cjson.decode(old).name
  if before ~= name then redis.call('HDEL', KEYS[4], before) end
end
redis.call('HSET', KEYS[3], id, document)
redis.call('HSET', KEYS[4], name, id)
if tonumber(meta[1]) >= 2 then redis.call('ZADD', KEYS[7], 'NX', 0, id) end
changed('node', id, document)
return { 'ok', document }
