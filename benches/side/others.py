"""What other packages say of the same columns: JSON lines {table, column, category, confidence}.

others.py presidio|detectpii COLUMNS

Presidio judges values: a column is personal where at least half of its samples hold an entity other than dates, places, numbers of no
kind and addresses of pages. detectpii judges names.
"""

import json
import sys


def presidio(columns):
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    import spacy.util

    model = next(name for name in sorted(spacy.util.get_installed_models()) if name.startswith("en"))
    configuration = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
    engine = AnalyzerEngine(nlp_engine=NlpEngineProvider(nlp_configuration=configuration).create_engine())
    ignored = {"DATE_TIME", "LOCATION", "URL", "NRP"}
    for column in columns:
        samples = [str(sample) for sample in column["samples"] if str(sample).strip()]
        hits = {}
        for sample in samples:
            found = {result.entity_type for result in engine.analyze(text=sample, language="en") if result.score >= 0.35}
            for kind in found - ignored:
                hits[kind] = hits.get(kind, 0) + 1
        best = max(hits, key=hits.get, default=None)
        if best and hits[best] * 2 >= len(samples):
            yield column, best.lower(), hits[best] / len(samples)


def detectpii(columns):
    from detectpii.detector import EnglishColumnNameRegexDetector
    from detectpii.model import Column

    detector = EnglishColumnNameRegexDetector()
    for column in columns:
        found = detector.detect(Column(name=column["column"]))
        if found:
            yield column, type(found).__name__.lower(), 0.9


def main():
    which, file = sys.argv[1:3]
    with open(file, encoding="utf-8") as lines:
        columns = [json.loads(line) for line in lines if line.strip()]
    for column, category, confidence in {"presidio": presidio, "detectpii": detectpii}[which](columns):
        print(json.dumps({"table": column["table"], "column": column["column"], "category": category, "confidence": confidence}))


if __name__ == "__main__":
    main()
