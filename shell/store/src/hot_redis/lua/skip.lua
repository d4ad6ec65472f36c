redis.call('HINCRBY', META, 'skips', ARGV[2])
return 'OK'
