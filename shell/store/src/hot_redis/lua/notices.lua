local key = ROOT .. 'notices:' .. ARGV[2]
local left = redis.call('HGETALL', key)
if #left > 0 then
  redis.call('DEL', key)
  redis.call('SREM', ROOT .. 'noticed', ARGV[2])
end
return left
