-- ARGV[2] is the node; then come pairs of session and `why:epoch`: what stands otherwise by now is news.
local key = ROOT .. 'notices:' .. ARGV[2]
local forgotten = 0
for i = 3, #ARGV, 2 do
  local what = redis.call('HGET', key, ARGV[i])
  if what and string.match(what, '^%d+:%d+') == ARGV[i + 1] then
    forgotten = forgotten + redis.call('HDEL', key, ARGV[i])
  end
end
if redis.call('EXISTS', key) == 0 then
  redis.call('SREM', ROOT .. 'noticed', ARGV[2])
end
return forgotten
