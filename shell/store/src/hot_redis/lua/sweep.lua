local now, most, notices_until = unpack(ARGV, 2, 4)
local over = redis.call('ZRANGEBYSCORE', ROOT .. 'sessions', '-inf', now, 'LIMIT', 0, most)
for _, entry in ipairs(over) do
  forget(entry)
end
-- for nodes that never came back; a session that has expired ends without a notice
for _, node in ipairs(redis.call('SMEMBERS', ROOT .. 'noticed')) do
  local key = ROOT .. 'notices:' .. node
  local left = redis.call('HGETALL', key)
  for i = 1, #left, 2 do
    if tonumber(string.match(left[i + 1], '%d+$')) <= tonumber(notices_until) then
      redis.call('HDEL', key, left[i])
    end
  end
  if redis.call('EXISTS', key) == 0 then
    redis.call('SREM', ROOT .. 'noticed', node)
  end
end
return #over
