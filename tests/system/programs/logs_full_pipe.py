import logging, sys
from plaintally_server import log_writer
from plaintally_server import log_config

log_writer.LINES = 20
log_config.set_up("text")
for number in range(100):
    logging.getLogger("plaintally_server").error("failure %d", number)
print("all", flush=True)
sys.stdin.readline()
