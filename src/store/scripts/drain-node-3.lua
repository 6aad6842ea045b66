#!lua flags=allow-oom
-- A node takes no new work, or takes it again. What it has goes on.
-- KEYS  meta changes nodes (registry)
-- ARGV  schema root channel origin id drained(0|1)
-- OUT   ok DOCUMENT | node_not_found | absent | store_schema SCHEMA | store_lost_writes
local meta = redis.call('HMGET', KEYS[1], 'schema', 'root')
if not meta[1] then return { 'absent' } end
if tonumber(meta[1]) > tonumber(ARGV[1]) then return { 'store_schema', meta[1] } end
if ARGV[2] ~= '' and meta[2] ~= ARGV[2] then return { 'store_lost_writes' } end

-- include: changed

local id = ARGV[5]
local old = redis.call('HGET', KEYS[3], id)
if not old then return { 'node_not_found' } end
local head, joined, tail = old:match('^([^\n]*\n[^\n]*\n)([^\n]*)(\n.*)$')
joined = joined:gsub('"drained":true,', '')
if ARGV[6] == '1' then joined = joined .. '"drained":true,' end
local document = head .. joined .. tail
if document == old then return { 'ok', old } end
redis.call('HSET', KEYS[3], id, document)
changed('node', id, document)
return { 'ok', document }
