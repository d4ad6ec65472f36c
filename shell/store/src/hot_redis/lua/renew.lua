local id, epoch, expires, least, most = unpack(ARGV, 2, 6)
local no = refusal(id, epoch)
if no then
  return no
end
local key = session_key(id)
local s = redis.call('HMGET', key, 'expires', 'user', 'registration')
redis.call('HSET', key, 'expires', expires)
-- the server's own end of it moves by as much
local ms = redis.call('PTTL', key)
if ms > 0 then
  ms = ms + math.floor((tonumber(expires) - tonumber(s[1])) / 1000)
  ms = math.max(tonumber(least), math.min(tonumber(most), ms))
  redis.call('PEXPIRE', key, ms)
  keep(ROOT .. 'sessions', ms)
  keep(ROOT .. 'user:' .. s[2], ms)
  if s[3] ~= '' then
    keep(ROOT .. 'registration:' .. s[3], ms)
  end
end
redis.call('ZADD', ROOT .. 'sessions', expires, entry(id, s[2], s[3]))
return 'OK'
