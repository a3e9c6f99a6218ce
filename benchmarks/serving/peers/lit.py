"""LitServe. ``python lit.py MODEL PORT plain|batch``."""

import pickle
import sys
from pathlib import Path

import litserve as ls
import pandas as pd


class Api(ls.LitAPI):
    def setup(self, device):
        self.model = pickle.loads((Path(sys.argv[1]) / "model.pkl").read_bytes())  # noqa: S301  our own file

    def decode_request(self, request):
        split = request["dataframe_split"]
        return pd.DataFrame(split["data"], columns=split["columns"])

    def batch(self, inputs):
        self.lengths = [len(frame) for frame in inputs]
        return pd.concat(inputs)

    def unbatch(self, output):
        answers, start = [], 0
        for length in self.lengths:
            answers.append(output[start : start + length])
            start += length
        return answers

    def predict(self, frame):
        return self.model.predict_proba(frame)

    def encode_response(self, output):
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    batch = {"max_batch_size": 32, "batch_timeout": 0.005} if sys.argv[3] == "batch" else {}
    api = Api(api_path="/invocations", **batch)
    ls.LitServer(api, accelerator="cpu").run(
        port=int(sys.argv[2]), generate_client_file=False, log_level="warning"
    )
