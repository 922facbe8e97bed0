import sqlite3, sys

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT count(*) FROM rollups").fetchall()
print("reading", flush=True)
sys.stdin.read()
