from plaintally import Contract, Flag, Integer, Label

context = {"a": Flag()}
counter = ["python_version"]
labels = {"one": Label(context)}
context["b"] = Integer(0, 1)
labels["two"] = Label(context=context)
contract = Contract(counter=counter, labels=labels)
counter.append("package_version")
labels.clear()
contexts = {name: list(label.context) for name, label in contract.labels.items()}
print(contract.counter, contexts)
