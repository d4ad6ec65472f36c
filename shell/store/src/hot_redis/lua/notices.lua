return redis.call('HGETALL', ROOT .. 'notices:' .. ARGV[2])
