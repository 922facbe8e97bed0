fit(1)
os.closerange(3, 100)
files = [open(f"file{number}", "wb") for number in range(10)]
for index in range(50):
    fit(index)
print([os.fstat(file.fileno()).st_size for file in files] == [0] * 10)
for file in files:
    file.close()
