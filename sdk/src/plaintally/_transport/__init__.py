"""The transport: the only modules with sockets. They decide nothing about consent.

Two kinds of process use them. The detached sender delivers imports. It loads this package as
`_transport`, without `plaintally` around it, and of it only what is marked with a star. Therefore
these modules import each other relatively, and only what they need.

    sender *      the process that delivers imports: main, jobs, locks
    batches       documents of a session as requests, and how they are sent
    answers       what a collector's answer to such a request says
    http *        a request over a connection of its own, tried again as the policy says
    proxies *     the proxy that the environment names
    addresses *   the look-up of a name, and the connection to the address that answers first
    response *    the bytes of an answer
    retry *       the policy: which failures are tried again, how often and when
    windows       processes and locks on Windows
"""
