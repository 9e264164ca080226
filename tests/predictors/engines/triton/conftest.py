from tests.tritonserver import start_triton as start_triton
from tests.tritonserver import tritonserver as tritonserver
