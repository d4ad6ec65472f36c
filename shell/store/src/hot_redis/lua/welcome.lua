-- Runs once on each connection, before all others. KEYS[1] as there; ARGV: the life of the server, our schema, the mark by
-- which we know the server, and whether it may begin with us when it is empty.
local known = redis.call('HMGET', KEYS[1], 'schema', 'mark', 'life', 'skips')
if known[1] and (known[3] == ARGV[1] or tonumber(known[1]) > tonumber(ARGV[2])) then
  return { known[1], known[2] }
end
if not known[1] and ARGV[4] ~= 'begin' then
  return {}
end
-- A new life may have lost the last writes of an earlier one, and even that one's own skip: stream numbers that were
-- dealt must not be dealt again. So it skips to where the time is, in sixteenths of a second since 2025.
local now = redis.call('TIME')
local skips = (tonumber(now[1]) - 1735689600) * 16 + math.floor(tonumber(now[2]) / 62500)
skips = string.format('%.0f', math.max(skips, tonumber(known[4] or 0) + 1))
redis.call('HSET', KEYS[1], 'schema', ARGV[2], 'mark', known[2] or ARGV[3], 'life', ARGV[1], 'skips', skips)
return { ARGV[2], known[2] or ARGV[3] }
