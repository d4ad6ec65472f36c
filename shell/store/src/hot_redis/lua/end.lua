local id, epoch, by, why = unpack(ARGV, 2, 5)
local no = refusal(id, epoch)
if no then
  return no
end
local s = redis.call('HMGET', session_key(id), 'user', 'registration')
finish(entry(id, s[1], s[2]), by, why)
return 'OK'
