from tests.tritonserver import start_triton as start_triton, tritonserver as tritonserver
