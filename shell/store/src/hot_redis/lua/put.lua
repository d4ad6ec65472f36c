local key, expires, now, ms = unpack(ARGV, 2, 5)
key = ROOT .. 'seen:' .. key
local before = redis.call('GET', key)
if before and tonumber(before) > tonumber(now) then
  return 0
end
redis.call('SET', key, expires, 'PX', ms)
return 1
