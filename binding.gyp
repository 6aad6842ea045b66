{
  'targets': [
    {
      'target_name': 'warren',
      'sources': [
        'native/nl/message.cc',
        'native/nl/netns.cc',
        'native/nl/reader.cc',
        'native/nl/socket.cc',
        'native/ops/addr.cc',
        'native/ops/apply.cc',
        'native/ops/bind.cc',
        'native/ops/fdb.cc',
        'native/ops/ip.cc',
        'native/ops/link.cc',
        'native/ops/link_decode.cc',
        'native/ops/neigh.cc',
        'native/ops/netns.cc',
        'native/ops/nft.cc',
        'native/ops/route.cc',
        'native/ops/rule.cc',
        'native/ops/session.cc',
        'native/ops/sysctl.cc',
        'native/addon/addon.cc',
        'native/addon/convert.cc',
        'native/addon/events.cc',
        'native/addon/worker.cc',
      ],
      # As system headers: our warnings are not for them.
      'cflags_cc': ['-isystem', '<!(node -p "require(\'path\').dirname(require.resolve(\'node-addon-api\'))")'],
      'include_dirs': ['native'],
      'defines': ['NAPI_VERSION=8', 'NAPI_DISABLE_CPP_EXCEPTIONS', '_GNU_SOURCE'],
      'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-std=c++17', '-fno-rtti'],
      'conditions': [
        ['OS=="linux"', {
          'cflags_cc': ['-std=c++20', '-Wall', '-Wextra', '-Werror', '-fvisibility=hidden', '-fno-exceptions'],
          'libraries': ['-ldl', '-lpthread'],
        }],
      ],
    },
  ],
}
