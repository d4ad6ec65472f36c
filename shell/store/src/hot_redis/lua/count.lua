return redis.call('SCARD', ROOT .. 'user:' .. ARGV[2])
