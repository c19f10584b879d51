def class_report(recipe, material, where, reporter):
    return None
