local id, now, epoch, published, owner, state, streams = unpack(ARGV, 2, 8)
local key = session_key(id)
local seen = redis.call('HMGET', key, 'epoch', 'state', 'owner', 'expires')
if not seen[1] or tonumber(seen[4]) <= tonumber(now) then
  return 'GONE'
end
if seen[1] ~= epoch or seen[2] ~= published then
  return 'FENCED'
end
redis.call('HINCRBY', key, 'epoch', 1)
redis.call('HINCRBY', key, 'next', streams)
redis.call('HSET', key, 'owner', owner, 'state', state)
local claimed = tell(id, false)
if seen[3] ~= owner then
  leave_notice(seen[3], id, claimed[3], 0, seen[4], redis.call('PTTL', key))
end
return claimed
