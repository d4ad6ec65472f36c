local id, epoch, state = unpack(ARGV, 2, 4)
local no = refusal(id, epoch)
if no then
  return no
end
redis.call('HSET', session_key(id), 'state', state)
return 'OK'
