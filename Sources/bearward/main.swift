print("bearward")
