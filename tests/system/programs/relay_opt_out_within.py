import MODULE as module

before = module.NAME


def interrupted(*arguments):
    OPT_OUT
    return before(*arguments)


module.NAME = interrupted
