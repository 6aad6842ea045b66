-- One revision, one stream entry, one wake-up that names the entry. The time in its id tells two histories of one revision
-- apart. ORIGIN is `SCOPE VERB WHO`: what was done and by whom stays with the change. Gives the ids of this entry and of the
-- one before.
local function changed(kind, id, value)
  local before = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  local rev = redis.call('HINCRBY', KEYS[1], 'rev', 1)
  local now = redis.call('TIME')
  local at = string.format('%.0f-%s%06d', rev, now[1], now[2])
  local scope, by = ARGV[4]:match('^(%S*) (.*)$')
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', 10000, at, 'kind', kind, 'id', id, 'value', value or '', 'by', by)
  redis.call('PUBLISH', ARGV[3], scope .. ' ' .. at)
  return at, before and before[1] or ''
end
