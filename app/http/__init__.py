"""The server below the application: uvicorn, what it leaves unbounded, and answers to what is no request."""
